"""The accuracy within groups of pictures: a style, a generator, a size."""

from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.stats.confidence_intervals import share_interval

if TYPE_CHECKING:
    import pandas as pd

SIZES = {"up to 256": 256, "257–512": 512, "513–1024": 1024, "over 1024": np.inf}  # longer side in pixels


def accuracy_by(predictions: "pd.DataFrame", column: str) -> list[dict[str, Any]]:
    """A row for each value of the column, in their order. For a generator, which has one class, accuracy is recall."""
    return [_group(rows, column, str(name)) for name, rows in predictions.groupby(column, observed=True)]


def size_bin(metadata: "pd.DataFrame") -> "pd.Series":
    """The bin of `SIZES` of each file's longer side; `metadata` has width and height in pixels."""
    import pandas as pd

    return pd.cut(metadata[["width", "height"]].max(axis=1), [0, *SIZES.values()], labels=list(SIZES))


def _group(rows: "pd.DataFrame", column: str, name: str) -> dict[str, Any]:
    return {
        column: name,
        "label": " + ".join(sorted(set(rows.label))),
        "pictures": len(rows),
        "accuracy": share_interval(int((rows.label == rows.predicted).sum()), len(rows)),
        "mean_p_ai": float(rows.p_ai.mean()),
    }
