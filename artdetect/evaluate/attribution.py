"""Attribution: whether AI pictures are ascribed to the generator family that made them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from artdetect.intervals import of_share
from artdetect.labels import AI, CLASSES

if TYPE_CHECKING:
    import pandas as pd


def attribution(predictions: "pd.DataFrame", families: Sequence[str]) -> dict[str, Any]:
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
        "accuracy": of_share(right, len(known)) if len(known) else None,
    }
