"""The pictures that a command line names: files, folders, patterns, and a list on stdin."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from artdetect.core.errors import DataError
from artdetect.pictures import path_patterns

STDIN = "-"


def expand(given: Sequence[str], null: bool = False) -> list[Path]:
    """The files and folders that arguments stand for.

    `-` stands for the paths on stdin, one a line; others may be patterns, which a shell leaves as they are in quotes.

    Args:
        given: The arguments.
        null: Whether a path on stdin ends with NUL instead of the end of a line.

    Raises:
        DataError: A pattern matches nothing, or there is nothing on stdin.
    """
    parts = (_listed(null) if argument == STDIN else path_patterns.expand(argument) for argument in given)
    return [path for part in parts for path in part]


def _listed(null: bool) -> list[Path]:
    content = sys.stdin.buffer.read()
    names = content.split(b"\0") if null else content.splitlines()
    if not (paths := [Path(os.fsdecode(name)) for name in names if name]):
        raise DataError("stdin: expected a list of paths, and it is empty")
    return paths
