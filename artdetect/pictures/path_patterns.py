"""Patterns such as `scans/**/*.jpg` in place of paths."""

import glob
import os
from pathlib import Path

from artdetect.core.errors import DataError


def expand(text: str) -> list[Path]:
    """The paths that a text stands for: itself, or if it is a pattern those that match it, sorted.

    It is a pattern if there is no file of that name and it has a `*`, `?` or `[`; `**` stands for any folders.

    Raises:
        DataError: A pattern matches nothing.
    """
    if os.path.lexists(text) or glob.escape(text) == text:
        return [Path(text)]
    if not (matches := sorted(glob.glob(text, recursive=True))):  # noqa: PTH207  as the text is
        raise DataError(f"{text}: no file has such a name")
    return [Path(match) for match in matches]
