"""Calibration against slow loops and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from artdetect.evaluate.calibration import BINS, calibration


def made(ai: int, human: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(ai + human) < ai
    return truth, rng.beta(np.where(truth, 3, 1), np.where(truth, 1, 2))


def slow_ece(truth: np.ndarray, p_ai: np.ndarray, weights: np.ndarray) -> float:
    total = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        held = (p_ai >= low) & ((p_ai < high) | (number == BINS - 1))
        if held.any():
            share, mean = (np.average(values[held], weights=weights[held]) for values in (truth, p_ai))
            total += weights[held].sum() * abs(share - mean)
    return total / weights.sum()


@pytest.mark.parametrize(("ai", "human"), [(50, 50), (200, 60)])
def test_values_are_those_of_other_implementations_with_classes_that_count_the_same(ai: int, human: int) -> None:
    truth, p_ai = made(ai, human)
    weights = np.where(truth, 1 / ai, 1 / human)
    found = calibration(truth, p_ai, 20, 0)
    assert found["ece"]["value"] == pytest.approx(slow_ece(truth, p_ai, weights))
    assert found["brier"]["value"] == pytest.approx(brier_score_loss(truth, p_ai, sample_weight=weights))
    assert found["log_loss"]["value"] == pytest.approx(log_loss(truth, p_ai, sample_weight=weights))


def test_a_prevalence_is_no_miscalibration() -> None:
    """Probabilities that are right for equal classes, on a test set with four times as many AI pictures."""
    rng = np.random.default_rng(0)
    p_ai = rng.random(200_000)
    truth = rng.random(len(p_ai)) < p_ai
    kept = truth | (rng.random(len(p_ai)) < 0.25)
    found = calibration(truth[kept], p_ai[kept], 2, 0)
    assert found["ece"]["value"] < 0.01
    for row in found["bins"]:
        assert row["share_ai"] == pytest.approx(row["mean_p"], abs=0.03)


def test_bins_hold_every_picture_once_and_none_is_empty() -> None:
    truth, p_ai = made(30, 30)
    p_ai[:4] = [0.0, 1.0, 1 / 15, 0.5]
    bins = calibration(truth, p_ai, 2, 0)["bins"]
    assert sum(row["pictures"] for row in bins) == 60
    for row in bins:
        assert row["pictures"] > 0
        assert row["low"] <= row["mean_p"] <= row["high"]
        assert row["high"] - row["low"] == pytest.approx(1 / 15)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(2, 60), st.integers(2, 60))
def test_intervals_hold_their_values(seed: int, ai: int, human: int) -> None:
    found = calibration(*made(ai, human, seed), 400, seed)
    assert 0 <= found["ece"]["low"] <= found["ece"]["value"] <= found["ece"]["high"]
    for name in ("brier", "log_loss"):
        assert 0 <= found[name]["low"] <= found[name]["high"]


def test_certainty_is_finite_and_dear_where_wrong() -> None:
    truth = np.array([True, False])
    assert calibration(truth, np.array([1.0, 0.0]), 5, 0)["log_loss"]["value"] == pytest.approx(0, abs=1e-9)
    wrong = calibration(truth, np.array([0.0, 1.0]), 5, 0)
    assert wrong["log_loss"]["value"] == pytest.approx(log_loss(truth, [0.0, 1.0]))
    assert (wrong["brier"]["value"], wrong["ece"]["value"]) == (1, 1)
