"""Markdown for GitHub and for Prefect's dashboard: tables, and text that is shown as it is."""

from collections.abc import Collection, Iterable, Sequence

from artdetect.formatting.text import printable

_MARKUP = {character: f"\\{character}" for character in "\\`*_[]~$#"}
_ESCAPED = str.maketrans(_MARKUP | {"|": "&#124;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """Text that Markdown shows as it is, also in a cell of a table."""
    return printable(text).translate(_ESCAPED)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align_right: Collection[int] = ()) -> str:
    """A table, one line per row.

    Args:
        header: The columns' names.
        rows: Cells of Markdown: the caller escapes plain text.
        align_right: Positions of columns that are aligned to the right, as numbers are.
    """
    rules = ["---:" if column in align_right else "---" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rules, *rows))
