"""Unsure pictures, and the accuracy by confidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artdetect.evaluate.selective_prediction import abstention, risk_coverage
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.confidence_intervals import wilson
from tests.evaluate.tables import scored


def test_an_unsure_picture_counts_in_the_share_and_not_in_the_accuracy() -> None:
    table = scored(60, 40)
    result, decided = abstention(table), table[table.verdict != "unsure"]
    assert result["pictures"] == 100 - len(decided)
    assert result["share"]["value"] == result["pictures"] / 100
    assert (result["share"]["low"], result["share"]["high"]) == wilson(result["pictures"], 100)
    assert result["accuracy_decided"]["value"] == pytest.approx((decided.verdict == decided.label).mean())


def test_where_nothing_is_decided_there_is_no_accuracy() -> None:
    result = abstention(scored(3, 3).assign(verdict="unsure"))
    assert (result["share"]["value"], result["accuracy_decided"]) == (1, None)


def slow(right: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """The accuracy of the k most confident pictures for every k; ties are averaged over many of their orders."""
    rng = np.random.default_rng(0)
    orders = [np.lexsort((rng.random(len(confidence)), -confidence)) for _ in range(3000)]
    return np.mean([np.cumsum(right[order]) / np.arange(1, len(right) + 1) for order in orders], axis=0)


@pytest.mark.parametrize("levels", [3, 1000])
def test_the_curve_and_its_area_are_those_of_a_loop(levels: int) -> None:
    rng = np.random.default_rng(5)
    confidence = rng.integers(0, levels, 40) / 7
    right = rng.random(40) < 0.6 + 0.3 * confidence / confidence.max()
    truth = np.arange(40) < 15
    result, theirs = risk_coverage(truth, right, confidence, Bootstrap(20, 0)), slow(right, confidence)
    assert [row["coverage"] for row in result["risk_coverage"]] == pytest.approx(np.arange(1, 21) / 20)
    assert [row["accuracy"] for row in result["risk_coverage"]] == pytest.approx(theirs[1::2], abs=0.02)
    assert result["aurc"]["value"] == pytest.approx(1 - theirs.mean(), abs=0.01)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=30), st.integers(0, 9))
def test_the_area_under_a_draw_is_that_of_its_rows(rows: list[tuple[bool, bool, int]], seed: int) -> None:
    """Its interval, computed from the resampled rows one by one."""
    truth, right, confidence = (np.array(column) for column in zip(*rows, strict=True))
    areas = []
    for counts in np.concatenate(list(Bootstrap(6, seed).counts(truth))):
        drawn_right, drawn_confidence = np.repeat(right, counts), np.repeat(confidence, counts)
        error = {level: 1 - drawn_right[drawn_confidence == level].mean() for level in set(drawn_confidence.tolist())}
        in_order = np.array([error[level] for level in np.sort(drawn_confidence)[::-1].tolist()])
        areas.append((np.cumsum(in_order) / np.arange(1, len(in_order) + 1)).mean())
    result = risk_coverage(truth, right, confidence.astype(float), Bootstrap(6, seed))["aurc"]
    low, high = np.quantile(areas, [0.025, 0.975])
    if high - low > 1e-9:
        assert (result["low"], result["high"]) == pytest.approx((low, high), abs=1e-9)


def test_without_errors_the_area_is_zero_and_not_certain() -> None:
    result = risk_coverage(np.arange(10) < 5, np.ones(10, bool), np.arange(10.0), Bootstrap(50, 0))
    assert result["aurc"] == {"value": 0, "low": 0, "high": pytest.approx(wilson(0, 10)[1])}
    assert {row["accuracy"] for row in result["risk_coverage"]} == {1}


def test_few_pictures_make_a_point_each() -> None:
    truth, right = np.array([True, False, True]), np.array([True, True, False])
    result = risk_coverage(truth, right, np.array([3.0, 2.0, 1.0]), Bootstrap(5, 0))
    assert [row["coverage"] for row in result["risk_coverage"]] == pytest.approx([1 / 3, 2 / 3, 1])
    assert [row["accuracy"] for row in result["risk_coverage"]] == pytest.approx([1, 1, 2 / 3])
