"""The command line. An error that a person can cause is one line and exit code 2. Heavy imports wait until needed.

Each module is a few commands; its `add` adds their parsers.
"""

import io
import os
import sys
from collections.abc import Sequence

from artdetect.cli import (
    adapt,
    completion,
    doctor,
    evaluate,
    inference,
    ingest,
    maintenance,
    models,
    pipeline,
    serve,
    starter,
    terminal,
)
from artdetect.cli.options import add_output
from artdetect.cli.parser import Commands
from artdetect.core import json_logging
from artdetect.core.errors import ArtdetectError, missing_extra, storage_error
from artdetect.formatting.text import printable

INTERRUPTED = 130  # exit code after Ctrl-C, as of programs that SIGINT ends
DESCRIPTION = "Tells AI-generated from human-made art, and shows why."
GROUPS = {
    "pictures": (inference, adapt, serve),
    "pipeline": (pipeline, ingest),
    "models": (models, evaluate, starter),
    "upkeep": (doctor, maintenance, completion),
}
EXAMPLES = (
    ("predict picture.jpg", "a verdict"),
    ("explain picture.jpg --out why", "which regions led to it"),
    ("run", "train a model on your own pictures"),
    ("COMMAND --help", "options and examples of a command"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 (done), 1 (partly done, see each command), 2 (an error) or 130 (Ctrl-C)."""
    given = sys.argv[1:] if arguments is None else arguments
    if "--log-json" in given:  # errors in the other options are to be JSON, too
        json_logging.enable()
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names need not be valid in any encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    commands = all_commands()
    try:
        options = commands.parse(given)
        terminal.be_quiet(options.quiet)
        if not hasattr(options, "command"):
            commands.parser.print_help()
            return 0
        code = options.command(options)
        sys.stdout.flush()  # here, where the error of a full disk is still reported as one line
        return code
    except ArtdetectError as error:
        return _fail(error)
    except BrokenPipeError:  # the reader, such as `head`, has stopped reading
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to resume", INTERRUPTED)
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


def _fail(error: object, code: int = 2) -> int:
    line = "\n".join(map(printable, f"artdetect: {error}".splitlines()))
    if json_logging.enabled():
        name = type(error).__name__ if isinstance(error, Exception) else None
        line = json_logging.format_line("ERROR", "artdetect", str(error), error=name)
    print(line, file=sys.stderr)
    return code


def all_commands() -> Commands:
    """The parsers of all commands."""
    commands = Commands(DESCRIPTION, EXAMPLES)
    add_output(commands.parser, top=True)
    for title, modules in GROUPS.items():
        commands.group(title)
        for module in modules:
            module.add(commands)
    for parser in commands.parsers:
        add_output(parser, top=False)
    return commands
