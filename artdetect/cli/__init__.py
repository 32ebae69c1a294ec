"""The command line. An error that a person can cause is one line and exit code 2. Heavy imports wait until needed.

Each module is a group of commands; its `add` adds their parsers.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from artdetect.cli import adapt, inference, ingest, maintenance, models, pipeline, serve, starter
from artdetect.core import json_logging
from artdetect.core.errors import ArtdetectError, missing_extra, storage_error
from artdetect.core.version import __version__
from artdetect.formatting.text import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 (done), 1 (partly done, see each command) or 2 (an error)."""
    options = _parser().parse_args(arguments)
    if options.log_json:
        json_logging.enable()
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names need not be valid in any encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = options.command(options)
        sys.stdout.flush()  # here, where the error of a full disk is still reported as one line
        return code
    except ArtdetectError as error:
        return _fail(error)
    except BrokenPipeError:  # the reader, such as `head`, has stopped reading
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to resume")
    except OSError as error:
        if (known := storage_error(error)) is None:
            raise
        return _fail(known)
    except ModuleNotFoundError as error:
        if (missing := missing_extra(error)) is None:
            raise
        return _fail(missing)
    finally:
        _end_output()


def _end_output() -> None:
    """Discard what stdout does not accept, or Python would try again at exit and print a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: object) -> int:
    line = "\n".join(map(printable, f"artdetect: {error}".splitlines()))
    if json_logging.enabled():
        name = type(error).__name__ if isinstance(error, Exception) else None
        line = json_logging.format_line("ERROR", "artdetect", str(error), error=name)
    print(line, file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="artdetect",
        description="Tells AI-generated from human-made art, and shows why.",
        epilog="`artdetect COMMAND --help` lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    _add_log(parser, default=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (pipeline, ingest, inference, adapt, serve, models, maintenance, starter):
        group.add(commands)
    for command in {*commands.choices.values()}:  # so that it may follow the command, without resetting it
        _add_log(command, default=argparse.SUPPRESS)
    return parser


def _add_log(parser: argparse.ArgumentParser, default: object) -> None:
    description = "write log lines and errors as JSON objects, one per line (like ARTDETECT_LOG=json)"
    parser.add_argument("--log-json", action="store_true", default=default, help=description)
