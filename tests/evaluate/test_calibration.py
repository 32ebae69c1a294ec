"""Calibration, compared with slow loops and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from artdetect.evaluate.calibration import BINS, calibration
from artdetect.stats.bootstrap import Bootstrap


def probabilities(ai: int, human: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(ai + human) < ai
    return truth, rng.beta(np.where(truth, 3, 1), np.where(truth, 1, 2))


def slow_ece(truth: np.ndarray, p_ai: np.ndarray, weights: np.ndarray) -> float:
    total = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = (p_ai >= low) & ((p_ai < high) | (number == BINS - 1))
        if inside.any():
            share, mean = (np.average(values[inside], weights=weights[inside]) for values in (truth, p_ai))
            total += weights[inside].sum() * abs(share - mean)
    return total / weights.sum()


@pytest.mark.parametrize(("ai", "human"), [(50, 50), (200, 60)])
def test_values_are_those_of_other_implementations_with_classes_that_count_the_same(ai: int, human: int) -> None:
    truth, p_ai = probabilities(ai, human)
    weights = np.where(truth, 1 / ai, 1 / human)
    result = calibration(truth, p_ai, Bootstrap(20, 0))
    assert result["ece"]["value"] == pytest.approx(slow_ece(truth, p_ai, weights))
    assert result["brier"]["value"] == pytest.approx(brier_score_loss(truth, p_ai, sample_weight=weights))
    assert result["log_loss"]["value"] == pytest.approx(log_loss(truth, p_ai, sample_weight=weights))


def test_the_prevalence_does_not_count_as_miscalibration() -> None:
    """Probabilities that are right for equal classes, on a test set with four times as many AI pictures."""
    rng = np.random.default_rng(0)
    p_ai = rng.random(200_000)
    truth = rng.random(len(p_ai)) < p_ai
    sampled = truth | (rng.random(len(p_ai)) < 0.25)
    result = calibration(truth[sampled], p_ai[sampled], Bootstrap(2, 0))
    assert result["ece"]["value"] < 0.01
    for row in result["bins"]:
        assert row["share_ai"] == pytest.approx(row["mean_p"], abs=0.03)


def test_bins_hold_every_picture_once_and_none_is_empty() -> None:
    truth, p_ai = probabilities(30, 30)
    p_ai[:4] = [0.0, 1.0, 1 / 15, 0.5]
    bins = calibration(truth, p_ai, Bootstrap(2, 0))["bins"]
    assert sum(row["pictures"] for row in bins) == 60
    for row in bins:
        assert row["pictures"] > 0
        assert row["low"] <= row["mean_p"] <= row["high"]
        assert row["high"] - row["low"] == pytest.approx(1 / 15)


@settings(max_examples=30)
@given(st.integers(0, 999), st.integers(2, 60), st.integers(2, 60))
def test_intervals_hold_their_values(seed: int, ai: int, human: int) -> None:
    result = calibration(*probabilities(ai, human, seed), Bootstrap(400, seed))
    assert 0 <= result["ece"]["low"] <= result["ece"]["value"] <= result["ece"]["high"]
    for name in ("brier", "log_loss"):
        assert 0 <= result[name]["low"] <= result[name]["high"]


def test_certainty_has_a_finite_loss_that_is_high_where_it_is_wrong() -> None:
    truth = np.array([True, False])
    assert calibration(truth, np.array([1.0, 0.0]), Bootstrap(5, 0))["log_loss"]["value"] == pytest.approx(0, abs=1e-9)
    wrong = calibration(truth, np.array([0.0, 1.0]), Bootstrap(5, 0))
    assert wrong["log_loss"]["value"] == pytest.approx(log_loss(truth, [0.0, 1.0]))
    assert (wrong["brier"]["value"], wrong["ece"]["value"]) == (1, 1)
