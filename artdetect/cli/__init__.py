"""The command line. Errors that a person can cause are one line and exit code 2; heavy imports wait until needed.

A module a group of commands; `add` of each brings its parsers.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from artdetect import __version__
from artdetect.cli import inference, ingest, maintenance, models, pipeline, serve
from artdetect.core import json_logging
from artdetect.core.errors import ArtdetectError, storage_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 done in part (see each command), 2 an error a person can mend."""
    chosen = _parser().parse_args(arguments)
    if chosen.log_json:
        json_logging.enable()
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names need not be valid in any encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = chosen.command(chosen)
        sys.stdout.flush()  # here, where a full disk is still one line
        return code
    except ArtdetectError as error:
        return _fail(error)
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to go on")
    except OSError as error:
        if (known := storage_error(error)) is None:
            raise
        return _fail(known)
    finally:
        _end_output()


def _end_output() -> None:
    """Drop what stdout does not take, or Python would try again at exit and complain in many lines."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: object) -> int:
    line = f"artdetect: {error}"
    if json_logging.enabled():
        name = type(error).__name__ if isinstance(error, Exception) else None
        line = json_logging.format_line("ERROR", "artdetect", str(error), error=name)
    print(line, file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="artdetect", description="Tells AI-generated from human-made art, and shows why."
    )
    parser.add_argument("--version", action="version", version=__version__)
    _add_log(parser, default=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (pipeline, ingest, inference, serve, models, maintenance):
        group.add(commands)
    for command in {*commands.choices.values()}:  # also after the command; it must not undo what stands before it
        _add_log(command, default=argparse.SUPPRESS)
    return parser


def _add_log(parser: argparse.ArgumentParser, default: object) -> None:
    said = "write the log, and an error, as one JSON object a line (as ARTDETECT_LOG=json does)"
    parser.add_argument("--log-json", action="store_true", default=default, help=said)
