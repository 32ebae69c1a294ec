"""Which generator family AI pictures are attributed to."""

import pandas as pd
import pytest

from artdetect.evaluate.generator_attribution import generator_attribution
from artdetect.stats.confidence_intervals import wilson


def predictions(*groups: tuple[str, str, int]) -> pd.DataFrame:
    """Groups of (generator, family, pictures)."""
    rows = [
        ("human" if generator == "human" else "AI", generator, family)
        for generator, family, count in groups
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["label", "generator", "family"])


def test_it_counts_ai_pictures_of_known_families() -> None:
    """Human pictures have no generator; pictures of a generator that is no family cannot be attributed right."""
    table = predictions(("sd", "sd", 5), ("sd", "ld", 2), ("sd", "other", 1), ("ld", "ld", 4), ("new", "sd", 3),
                 ("human", "sd", 9))  # fmt: skip
    result = generator_attribution(table, ("ld", "sd"))
    assert result["families"] == ["ld", "sd"]
    assert result["rows"] == [
        {"generator": "ld", "pictures": 4, "predicted": {"ld": 4}},
        {"generator": "new", "pictures": 3, "predicted": {"sd": 3}},
        {"generator": "sd", "pictures": 8, "predicted": {"ld": 2, "other": 1, "sd": 5}},
    ]
    low, high = wilson(9, 12)
    assert result["accuracy"] == {"value": pytest.approx(9 / 12), "low": low, "high": high}


def test_without_a_picture_of_a_family_there_is_no_accuracy() -> None:
    assert generator_attribution(predictions(("new", "other", 3)), ("ld", "sd"))["accuracy"] is None
