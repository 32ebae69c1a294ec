"""Two models on art from other sources."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.compare import compare, render_text

from .conftest import NEW, OLD, evaluated, pictures, predicted


def judged(p_true: float, first: int = 0) -> pd.DataFrame:
    """What pictures of five sources of each class are called; `first` tells apart the pictures of different data."""
    rows = [
        (f"{label}{source}{picture}", label, f"{label} {source}", p_true if label == "AI" else 1 - p_true)
        for label in ("AI", "human")
        for source in range(first, first + 5)
        for picture in range(10)
    ]
    table = pd.DataFrame(rows, columns=["sha256", "label", "group", "p_ai"])
    return table.assign(verdict=np.where(table.p_ai >= 0.5, "AI", "human"), weight=1.0)


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [(0.8, 0.9, "better"), (0.9, 0.8, "worse"), (0.9, 0.9, "not clear")]
)
def test_art_from_other_sources_comes_first_and_is_ranked_on_common_pictures(
    old: float, new: float, verdict: str
) -> None:
    test = pictures()
    result = compare(
        evaluated(OLD, predicted(test, 1), judged=judged(old)),
        evaluated(NEW, predicted(test, 2), judged=judged(new)), 200,
    )  # fmt: skip
    found = result["other_art"]
    assert found["log_loss"]["change"]["value"] == pytest.approx(np.log(old / new))
    assert (found["log_loss"]["pictures"], found["log_loss"]["sources"]) == (100, 10)
    assert found["new"]["log_loss"]["value"] == pytest.approx(-np.log(new))
    text = render_text(result)
    assert text.index("Art from other sources") < text.index("Test metrics")
    assert f"On the 100 pictures of 10 sources that both were judged on, the new one is {verdict}" in text


def test_art_of_different_data_sets_is_not_ranked() -> None:
    test = pictures()
    result = compare(
        evaluated(OLD, predicted(test, 1), judged=judged(0.8)),
        evaluated(NEW, predicted(test, 2), judged=judged(0.9, first=3)), 20,
    )  # fmt: skip
    assert result["other_art"]["log_loss"] == (
        "both were judged on pictures of 2 AI and 2 human sources, and 4 of each are needed"
    )
    assert "These figures are not ranked: both were judged on" in render_text(result)


def test_where_nothing_is_known_about_other_art_the_comparison_says_so(pair: tuple[Path, Path]) -> None:
    assert "Nothing is known about either model." in render_text(compare(*pair, 20))
    new = evaluated("abcdef", predicted(pictures(), 2), judged=judged(0.9))
    text = render_text(compare(pair[0], new, 20))
    assert re.search(r"ROC-AUC +not known +1\.000 \(0\.566–1\.000\)", text)
    assert "not ranked: nothing is known about art from other sources for both models." in text
