"""The check of the maps as Markdown."""

from __future__ import annotations

from typing import Any

from artdetect.explain.quality import HOW_TO_READ
from artdetect.formatting import markdown

_HEADER = (
    "map", "deletion (low)", "insertion (high)", "correlation (low)", "difference to control: deletion", "insertion"
)  # fmt: skip


def quality_table(quality: dict[str, Any]) -> str:
    """The sentence how to read it, and a table of `Quality.as_dict()`."""
    rows = []
    for row in quality["rows"]:
        values = [row[name] for name in ("deletion_margin", "insertion_margin", "correlation")]
        values += [(row["difference"] or {}).get(name) for name in ("deletion_margin", "insertion_margin")]
        rows.append([row["name"], *map(_cell, values)])
    return f"{HOW_TO_READ}\n\n{markdown.table(_HEADER, rows)}"


def _cell(value: dict[str, float | None] | None) -> str:
    if value is None:
        return "–"
    interval = "" if value["low"] is None else f" ({value['low']:.2f} to {value['high']:.2f})"
    return f"{value['value']:.2f}{interval}".replace("-", "−")
