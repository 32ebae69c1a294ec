"""Intervals: Wilson's as another implementation gives it, and the one of an area under the ROC curve."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from artdetect.stats.confidence_intervals import CONFIDENCE, auc_interval, wilson

Z = 1.959964


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_is_scipys(counts: tuple[int, int]) -> None:
    right, pictures = counts
    theirs = binomtest(right, pictures).proportion_ci(CONFIDENCE, method="wilson")
    assert wilson(right, pictures) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_the_interval_of_a_faultless_area_is_wilsons_of_the_smaller_class() -> None:
    assert auc_interval(1.0, 10, 300) == (pytest.approx(10 / (10 + Z**2)), 1.0)
    assert auc_interval(0.0, 300, 10) == (0.0, pytest.approx(Z**2 / (10 + Z**2)))


def test_the_interval_of_an_area_in_between_holds_it_and_shrinks_with_more_pictures() -> None:
    few, many = auc_interval(0.73, 18, 36), auc_interval(0.73, 1800, 3600)
    assert few[0] < many[0] < 0.73 < many[1] < few[1]
    assert many[1] - many[0] == pytest.approx(2 * Z * (0.73 * 0.27 / 1800) ** 0.5, rel=0.01)
