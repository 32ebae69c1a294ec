"""A verdict is the predicted class, or unsure where p(AI) is too close to the threshold."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artdetect.model.decision import UNSURE, VERDICTS, DecisionRule, logit, threshold_distance

PROBABILITIES = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 1e-300, 0.5, 1.0]), min_size=1, max_size=20)
RULES = st.builds(
    DecisionRule, st.floats(0.001, 0.999), st.just(0.0) | st.floats(0, 30), st.none() | st.floats(0.1, 10)
)  # fmt: skip


@settings(deadline=None)
@given(RULES, PROBABILITIES, st.floats(0, 100))
def test_a_verdict_is_unsure_inside_the_margin_and_the_prediction_outside(
    rule: DecisionRule, given: list[float], unlike: float
) -> None:
    p = np.array(given)
    predicted, verdicts = rule.predicted(p), rule.verdicts(p, np.full(len(p), unlike))
    assert predicted.tolist() == ["AI" if value >= rule.threshold else "human" for value in given]
    margin = rule.margin * (1 if rule.novelty is None else max(1, unlike / rule.novelty))
    unsure = threshold_distance(p, rule.threshold) < margin
    assert verdicts.tolist() == np.where(unsure, UNSURE, predicted).tolist()
    assert set(verdicts) <= set(VERDICTS)
    if rule.margin == 0:
        assert UNSURE not in verdicts


def test_the_distance_grows_on_both_sides_of_the_threshold() -> None:
    assert threshold_distance(np.array([0.8, 0.5, 0.2, 0.95]), 0.8) == pytest.approx([0, 1.386294, 2.772589, 1.558145])


def test_certainty_in_float32_is_finite_and_gets_a_verdict() -> None:
    """A float32 softmax gives 1 for logits above 17."""
    for dtype in (np.float32, np.float64):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isfinite(logit(np.array([0, 1e-30, 1], dtype))).all()
            verdicts = DecisionRule(0.9, 20.0).verdicts(np.array([0, 0.5, 1], dtype), np.zeros(3))
        assert verdicts.tolist() == ["human", UNSURE, "AI"]


def test_a_picture_unlike_the_training_data_needs_a_more_extreme_p() -> None:
    rule = DecisionRule(0.5, 1.0, 2.0)
    p = np.full(4, 0.9)  # 2.2 logits
    assert rule.verdicts(p, np.array([0.0, 2.0, 4.3, 4.5])).tolist() == ["AI", "AI", "AI", UNSURE]
    assert rule.verdicts(p).tolist() == ["AI"] * 4
    assert DecisionRule(0.5, 1.0).verdicts(p, np.full(4, 1e9)).tolist() == ["AI"] * 4


@settings(deadline=None)
@given(RULES)
def test_the_band_is_where_verdicts_are_unsure(rule: DecisionRule) -> None:
    low, high = rule.band()
    assert 0 <= low <= high <= 1
    assert low <= rule.threshold * (1 + 1e-9)
    assert high >= rule.threshold * (1 - 1e-9)
    if 1e-3 < rule.margin < 5:
        inside, outside = [low + 1e-6 * low, high - 1e-6 * (1 - high)], [low * (1 - 1e-6), high + 1e-6 * (1 - high)]
        assert rule.verdicts(np.array(inside)).tolist() == [UNSURE] * 2
        assert rule.verdicts(np.array(outside)).tolist() == ["human", "AI"]


def test_without_a_margin_the_band_is_the_threshold() -> None:
    assert DecisionRule(0.3).band() == pytest.approx((0.3, 0.3))


@settings(deadline=None)
@given(RULES)
def test_a_rule_comes_back_from_json_as_it_was(rule: DecisionRule) -> None:
    assert DecisionRule(**json.loads(json.dumps(rule.as_dict()))) == rule


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": 0}, {"threshold": float("nan")}, {"threshold": "0.5"}, {"threshold": None},
        {"margin": -0.1}, {"margin": float("inf")}, {"margin": None}, {"novelty": 0.0}, {"novelty": "x"},
    ],
)  # fmt: skip
def test_what_cannot_be_a_rule_is_refused(values: dict) -> None:
    with pytest.raises((ValueError, TypeError)):
        DecisionRule(**values)
