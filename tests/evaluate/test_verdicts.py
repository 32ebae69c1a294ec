"""The verdicts on the test set: the same measures as out of source, and the reasons of unsure ones."""

import numpy as np
import pytest

from artdetect.evaluate.selective_prediction import verdicts
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.confidence_intervals import share_interval

from .tables import predictions, scored


def test_the_measures_are_shares_of_verdicts_with_both_classes_counted_the_same() -> None:
    table = scored(100, 300)
    table["reason"] = np.where(table.verdict == "unsure", "near the threshold", "sure")
    found = verdicts(table, Bootstrap(100, 1))
    given = {name: (table.verdict == name).groupby(table.label).mean() for name in ("AI", "human")}
    assert found["pictures"] == 400
    assert found["firm"]["value"] == pytest.approx((table.verdict != "unsure").groupby(table.label).mean().mean())
    for name in ("AI", "human"):
        metric = found[f"right_{name.lower()}"]
        assert metric["value"] == pytest.approx(given[name][name] / given[name].sum())
        assert metric["low"] < metric["value"] < metric["high"]
    unsure = int((table.verdict == "unsure").sum())
    assert found["reasons"] == {
        "flat": 0, "too small": 0, "unlike the training art": 0, "near the threshold": unsure, "parts differ": 0,
    }  # fmt: skip


def test_where_nothing_is_wrong_the_interval_is_wilsons() -> None:
    table = predictions(("AI", "AI", 12), ("human", "human", 30)).assign(reason="sure")
    found = verdicts(table, Bootstrap(100, 1))
    assert found["right_ai"] == share_interval(12, 12)
    assert found["right_human"] == share_interval(30, 30)
    assert found["firm"] == share_interval(42, 42)
    assert found["roc_auc"] == found["balanced_accuracy"] == share_interval(12, 12)


def test_without_such_a_verdict_there_is_no_share() -> None:
    table = predictions(("AI", "human", 12), ("human", "human", 30)).assign(reason="sure")
    found = verdicts(table, Bootstrap(100, 1))
    assert found["right_ai"] is None
    assert found["right_human"]["value"] == pytest.approx(0.5)
