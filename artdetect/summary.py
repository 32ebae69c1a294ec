"""A finished run in a few lines: the stage table and the test metrics, for terminals and for the dashboard."""

from collections.abc import Sequence
from typing import Any

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
}


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text under each other, every column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def metric_rows(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, value, 95 % interval) of the whole-set metrics, ready to print."""
    return [
        (shown, f"{metrics[name]['value']:.3f}", f"{metrics[name]['low']:.3f} – {metrics[name]['high']:.3f}")
        for name, shown in METRICS.items()
    ]
