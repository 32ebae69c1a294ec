"""Attribution: whether AI pictures are ascribed to the generator family that made them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from artdetect.pictures.labels import AI, CLASSES
from artdetect.stats.confidence_intervals import share_interval

if TYPE_CHECKING:
    import pandas as pd


def generator_attribution(predictions: "pd.DataFrame", families: Sequence[str]) -> dict[str, Any]:
    """The families that the detector knows, and what it says of AI pictures, whether it called them AI or not.

    Args:
        predictions: label, generator, family.

    Returns:
        "families"; "rows", one a generator: generator, pictures, called {family or "other": pictures}; "accuracy",
        over pictures of generators that are families, None if there are none.
    """
    ai = predictions[predictions.label == CLASSES[AI]]
    rows = [
        {
            "generator": str(generator),
            "pictures": len(rows),
            "called": {str(family): int(count) for family, count in rows.family.value_counts().sort_index().items()},
        }
        for generator, rows in ai.groupby("generator")
    ]
    known = ai[ai.generator.isin(families)]
    right = int((known.family == known.generator).sum())
    return {
        "families": list(families),
        "rows": rows,
        "accuracy": share_interval(right, len(known)) if len(known) else None,
    }
