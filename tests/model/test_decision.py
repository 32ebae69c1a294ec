"""A verdict is the predicted class outside the unsure band, else unsure; its reason is the weightiest that holds."""

import json
import math
import warnings
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artdetect.model.decision import (
    FLAT,
    NEAR,
    REASONS,
    SURE,
    TOO_SMALL,
    UNLIKE,
    UNSURE,
    VERDICTS,
    DecisionRule,
    logit,
    threshold_distance,
)  # fmt: skip

SHARES = st.floats(0, 1) | st.sampled_from([0.0, 1e-300, 0.5, 1.0])
PROBABILITIES = st.lists(SHARES, min_size=1, max_size=20)


@st.composite
def rules(draw: st.DrawFn) -> DecisionRule:
    low, threshold, high = sorted(draw(st.tuples(SHARES, st.floats(0.001, 0.999), SHARES)))
    return DecisionRule(
        threshold or 0.5,
        draw(st.sampled_from([None, low])),
        draw(st.sampled_from([None, max(high, threshold or 0.5)])),
        draw(st.none() | st.floats(0.1, 10)),
        draw(st.sampled_from([0, 32, 56])),
        draw(st.sampled_from([0.0, 2.0])),
    )


@given(rules(), PROBABILITIES, st.floats(0, 100) | st.just(math.nan), st.integers(1, 100), st.floats(0, 10))
def test_a_verdict_is_the_prediction_unless_a_reason_speaks_against_it(
    rule: DecisionRule, given: list[float], unlike: float, side: int, contrast: float
) -> None:
    p, ones = np.array(given), np.ones(len(given))
    predicted, reasons = rule.predicted(p), rule.reasons(p, ones * unlike, ones * side, ones * contrast)
    verdicts = rule.verdicts(p, reasons)
    assert predicted.tolist() == ["AI" if value >= rule.threshold else "human" for value in given]
    low = rule.threshold if rule.human_below is None else rule.human_below
    high = rule.threshold if rule.ai_from is None else rule.ai_from
    assert rule.band() == (low, high)
    for value, reason, verdict in zip(given, reasons, verdicts, strict=True):
        holding = [
            (FLAT, contrast < rule.min_contrast),
            (TOO_SMALL, side < rule.min_side),
            (UNLIKE, rule.novelty is not None and not unlike <= rule.novelty),
            (NEAR, low <= value < high),
        ]
        assert reason == next((name for name, holds in holding if holds), SURE)
        assert verdict == (("AI" if value >= high else "human") if reason == SURE else UNSURE)
    assert set(verdicts) <= set(VERDICTS)
    assert set(reasons) <= set(REASONS)


@given(rules(), PROBABILITIES)
def test_what_is_not_known_of_a_picture_speaks_against_nothing(rule: DecisionRule, given: list[float]) -> None:
    low, high = rule.band()
    expected = [NEAR if low <= value < high else SURE for value in given]
    assert rule.reasons(np.array(given)).tolist() == expected


def test_a_picture_beyond_the_novelty_limit_is_unsure_however_extreme_its_p() -> None:
    rule = DecisionRule(0.5, 0.3, 0.7, novelty=2.0)
    p, novelty = np.array([0.9999, 0.9999, 0.0001, 0.0001, 0.9999]), np.array([2.0, 2.1, 1.0, 1e9, math.nan])
    reasons = rule.reasons(p, novelty)
    assert reasons.tolist() == [SURE, UNLIKE, SURE, UNLIKE, UNLIKE]
    assert rule.verdicts(p, reasons).tolist() == ["AI", UNSURE, "human", UNSURE, UNSURE]
    assert DecisionRule().reasons(p, novelty).tolist() == [SURE] * 5


def test_the_sides_of_the_band_are_set_apart() -> None:
    rule = DecisionRule(0.6, human_below=0.1, ai_from=0.65)
    p = np.array([0.05, 0.1, 0.3, 0.6, 0.64, 0.65, 0.9])
    verdicts = rule.verdicts(p, rule.reasons(p))
    assert verdicts.tolist() == ["human", UNSURE, UNSURE, UNSURE, UNSURE, "AI", "AI"]
    assert rule.predicted(p).tolist() == ["human"] * 3 + ["AI"] * 4


def test_the_distance_grows_on_both_sides_of_the_threshold() -> None:
    assert threshold_distance(np.array([0.8, 0.5, 0.2, 0.95]), 0.8) == pytest.approx([0, 1.386294, 2.772589, 1.558145])


def test_certainty_in_float32_is_finite_and_gets_a_verdict() -> None:
    """A float32 softmax gives 1 for logits above 17."""
    rule = DecisionRule(0.9, 1e-9, 1 - 1e-9)
    for dtype in (np.float32, np.float64):
        p = np.array([0, 0.5, 1], dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isfinite(logit(np.array([0, 1e-30, 1], dtype))).all()
            verdicts = rule.verdicts(p, rule.reasons(p))
        assert verdicts.tolist() == ["human", UNSURE, "AI"]


def test_without_sides_the_band_is_the_threshold_and_no_picture_is_unsure() -> None:
    rule = DecisionRule(0.3)
    assert rule.band() == (0.3, 0.3)
    p = np.array([0.0, 0.2999, 0.3, 1.0])
    assert rule.verdicts(p, rule.reasons(p)).tolist() == ["human", "human", "AI", "AI"]


@given(rules())
def test_a_rule_comes_back_from_json_as_it_was(rule: DecisionRule) -> None:
    assert DecisionRule.from_dict(json.loads(json.dumps(rule.as_dict()))) == rule
    assert rule.as_dict() == asdict(rule)


@given(st.floats(1e-15, 1 - 1e-15), st.floats(1e-9, 40), PROBABILITIES)
def test_a_margin_in_logits_of_an_older_file_is_a_band_around_the_threshold(
    threshold: float, margin: float, given: list[float]
) -> None:
    rule = DecisionRule.from_dict({"threshold": threshold, "margin": margin, "novelty": 3.0})
    assert (rule.threshold, rule.novelty) == (threshold, 3.0)
    p = np.array(given)
    distance = threshold_distance(p, threshold)
    clear = np.abs(distance - margin) > 1e-6  # apart from rounding
    unsure = rule.reasons(p) == NEAR
    assert (unsure == (distance < margin))[clear & (p > 1e-10) & (p < 1 - 1e-10)].all()


def test_an_older_file_without_a_margin_has_no_band() -> None:
    assert DecisionRule.from_dict({"threshold": 0.4, "margin": 0.0, "novelty": None}) == DecisionRule(0.4)
    assert DecisionRule.from_dict({}) == DecisionRule()


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": 0}, {"threshold": float("nan")}, {"threshold": "0.5"}, {"threshold": None},
        {"human_below": -0.1}, {"human_below": 0.6}, {"ai_from": 0.4}, {"ai_from": float("inf")},
        {"ai_from": float("nan")}, {"human_below": "x"}, {"novelty": 0.0}, {"novelty": "x"},
        {"min_side": -1}, {"min_contrast": -0.1}, {"min_contrast": None}, {"min_side": float("inf")}, {"band": 0.1},
        {"margin": "x"}, {"margin": -1}, {"margin": None}, {"margin": float("nan")},
    ],
)  # fmt: skip
def test_what_cannot_be_a_rule_is_refused(values: dict) -> None:
    with pytest.raises((ValueError, TypeError)):
        DecisionRule.from_dict(values)
