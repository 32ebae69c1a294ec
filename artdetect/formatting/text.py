"""Plain text for terminals and the dashboard: aligned columns, safe file names and the main test metrics."""

from collections.abc import Sequence
from typing import Any

from artdetect.formatting import intervals

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
}


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, which are made `printable`, as text with aligned columns."""
    rows = [list(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def printable(text: str) -> str:
    """Text, such as a file name, on one line and without control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def metric_rows(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The main test metrics as rows of name, value and 95 % interval.

    Args:
        metrics: the content of evaluate's metrics.json; optional checks that did not run have no rows.
    """
    rows = {shown: metrics[name] for name, shown in METRICS.items()}
    if unsure := metrics.get("unsure"):
        rows |= {"share unsure": unsure["share"], "accuracy when not unsure": unsure["accuracy_decided"]}
    for row in metrics.get("tpr_at_fpr", ()):
        rows[f"AI recall at {row['fpr']:.0%} false-positive rate"] = row["tpr"]
    if calibration := metrics.get("calibration"):
        rows["calibration error (ECE)"] = calibration["ece"]
    if robustness := metrics.get("robustness"):
        worst = min(robustness["rows"], key=lambda row: row["accuracy"]["value"])
        rows["accuracy on degraded pictures"] = robustness["mean_accuracy"]
        rows[f"… worst condition: {worst['name']}"] = worst["accuracy"]
    return [(name, f"{row['value']:.3f}", intervals.span(row)) for name, row in rows.items() if row]
