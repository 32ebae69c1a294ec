"""Generator attribution: whether AI pictures are attributed to the generator family that made them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from artdetect.pictures.labels import AI, CLASSES
from artdetect.stats.confidence_intervals import share_interval

if TYPE_CHECKING:
    import pandas as pd


def generator_attribution(predictions: "pd.DataFrame", families: Sequence[str]) -> dict[str, Any]:
    """Count which family each generator's AI pictures were attributed to, whether they were predicted as AI or not.

    Args:
        predictions: label, generator, family.
        families: The generator families that the detector knows.

    Returns:
        "families"; "rows", one per generator: generator, pictures, predicted {family or "other": pictures}; "accuracy",
        over pictures of generators that are families, None if there are none.
    """
    ai = predictions[predictions.label == CLASSES[AI]]
    rows = [
        {
            "generator": str(generator),
            "pictures": len(group),
            "predicted": {
                str(family): int(count) for family, count in group.family.value_counts().sort_index().items()
            },
        }
        for generator, group in ai.groupby("generator")
    ]
    known = ai[ai.generator.isin(families)]
    right = int((known.family == known.generator).sum())
    return {
        "families": list(families),
        "rows": rows,
        "accuracy": share_interval(right, len(known)) if len(known) else None,
    }
