"""A finished run in a few lines: the stage table and the test metrics, for terminals and for the dashboard."""

from collections.abc import Sequence
from typing import Any

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
}
_MARKUP = {character: f"\\{character}" for character in "\\`*_[]~$#"}
_MARKDOWN = str.maketrans(_MARKUP | {"|": "&#124;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text under each other, every column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def printable(text: str) -> str:
    """Text, such as a file's name, on one line and without what would steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def escape_markdown(text: str) -> str:
    """Text that stands in Markdown, also in a cell of a table, as it is."""
    return printable(text).translate(_MARKDOWN)


def metric_rows(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, value, 95 % interval) of the whole-set metrics and, as far as they are there, of doubts and trials."""
    rows = {shown: metrics[name] for name, shown in METRICS.items()}
    if unsure := metrics.get("unsure"):
        rows |= {"left unsure": unsure["share"], "accuracy where not unsure": unsure["accuracy_decided"]}
    for row in metrics.get("tpr_at_fpr", ()):
        rows[f"AI found at {row['fpr']:.0%} false accusations"] = row["tpr"]
    if calibration := metrics.get("calibration"):
        rows["calibration error (ECE)"] = calibration["ece"]
    if trial := metrics.get("robustness"):
        worst = min(trial["rows"], key=lambda row: row["accuracy"]["value"])
        rows["accuracy, degraded pictures"] = trial["mean_accuracy"]
        rows[f"… the worst, {worst['name']}"] = worst["accuracy"]
    return [(name, f"{row['value']:.3f}", f"{row['low']:.3f} – {row['high']:.3f}") for name, row in rows.items() if row]
