"""Temperature, threshold and margin, compared with the results of exhaustive search."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import TypeAdapter, ValidationError
from scipy.special import expit

from artdetect.model.decision import UNSURE, DecisionRule, logit
from artdetect.pictures.labels import CLASSES
from artdetect.train import calibration
from artdetect.train.calibration import Abstention, FalsePositiveRate, HeldOutPredictions, Share

NAMES = np.array(CLASSES)


def predictions(logits: Any, classes: Any, weights: Any = None, novelty: Any = None) -> HeldOutPredictions:
    """Predictions for one view or several. Without weights, all pictures count the same."""
    classes = np.array(classes)
    weights = np.ones(len(classes), np.float32) if weights is None else np.array(weights, np.float32)
    return HeldOutPredictions(np.atleast_2d(np.array(logits, np.float32)), classes, weights, novelty)


@st.composite
def validations(draw: st.DrawFn) -> HeldOutPredictions:
    """A few pictures of both classes, many with equal logits, some so large that float32 probabilities are 0 or 1."""
    count = draw(st.integers(2, 14))
    logits = draw(arrays(np.float32, count, elements=st.sampled_from([-40, -2, -1, -0.5, 0, 0.5, 1, 2, 16, 17, 40])))
    classes = draw(arrays(np.int64, count, elements=st.integers(0, 1)))
    assume(len(set(classes)) == 2)
    return predictions(logits, classes, draw(arrays(np.float32, count, elements=st.sampled_from([0.5, 1, 2]))))


# --- temperature ---


@pytest.mark.parametrize("true", [0.2, 1.0, 3.0, 12.0])
def test_a_known_temperature_is_found_over_all_views(true: float) -> None:
    rng = np.random.default_rng(1)
    calibrated = rng.normal(0, 2, (3, 4000))
    classes = (rng.random(4000) > expit(calibrated[0])).astype(np.int64)
    calibrated[1:] = calibrated[0]  # the same pictures: each view has the same logits
    found = calibration.fit_temperature(predictions(calibrated * true, classes))
    assert found == pytest.approx(true, rel=0.07)


def test_degraded_views_count_and_so_do_weights() -> None:
    """View 1 is wrong half the time. Heavier errors raise the temperature."""
    classes = np.tile([0, 1], 50)
    clean = np.where(classes == 0, 2.0, -2.0)
    clean[:6] *= -1
    confused = clean.copy()
    confused[::4] *= -1
    alone, both = (calibration.fit_temperature(predictions(logits, classes)) for logits in (clean, [clean, confused]))
    assert both > 1.2 * alone
    heavy = np.where(np.arange(100) < 6, 5, 1)
    assert calibration.fit_temperature(predictions(clean, classes, heavy)) > 1.2 * alone


@pytest.mark.parametrize(("sign", "bound"), [(1, calibration.MIN_TEMPERATURE), (-1, calibration.MAX_TEMPERATURE)])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_pictures_that_are_all_right_or_all_wrong_end_within_the_bounds(sign: int, bound: float, scale: float) -> None:
    classes = np.array([0, 0, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = calibration.fit_temperature(predictions(sign * scale * np.array([3, 1, -1, -2.0]), classes))
    assert calibration.MIN_TEMPERATURE <= found <= calibration.MAX_TEMPERATURE
    if scale == 1:
        assert found == pytest.approx(bound, rel=0.01)


# --- margin ---


def outcome(rule: DecisionRule, given: HeldOutPredictions, temperature: float) -> tuple[float | None, float]:
    """The weighted accuracy of a rule's verdicts, and the share of pictures that it leaves unsure."""
    verdicts = rule.verdicts(expit(given.logits[0].astype(np.float64) / temperature))
    decided = verdicts != UNSURE
    if not decided.any():
        return None, 1.0
    right = (verdicts == NAMES[given.classes])[decided]
    return float(np.average(right, weights=given.weights[decided])), float(1 - decided.mean())


@settings(deadline=None)
@given(
    validations(), st.sampled_from([0.05, 1.0, 2.0]), st.sampled_from([0.2, 0.5, 0.9]),
    st.sampled_from([0.5, 0.75, 0.99]), st.sampled_from([0.0, 0.25, 0.5, 0.9]),
)  # fmt: skip
@example(
    predictions([1, 1, 2], [1, 0, 0]), 1.0, 0.5, 0.99, 0.5
)  # a tie: one of the two closest to the threshold is right
def test_the_margin_is_the_smallest_that_trying_all_finds(
    given: HeldOutPredictions, temperature: float, threshold: float, accuracy: float, max_share: float
) -> None:
    rule = calibration.fit_decision_rule(
        given, temperature, threshold, Abstention(min_accuracy=accuracy, max_share=max_share)
    )
    distances = np.abs(logit(expit(given.logits[0].astype(np.float64) / temperature)) - logit(threshold))
    tried = [
        (margin, *outcome(DecisionRule(threshold, margin), given, temperature))
        for margin in sorted({0.0, *map(float, distances)})
    ]
    allowed = [found for found in tried if found[2] <= max_share]
    enough = [margin for margin, right, _ in allowed if right is not None and right >= accuracy]
    largest_share = max(unsure for _, _, unsure in allowed)  # taken where no accuracy suffices
    assert rule == DecisionRule(
        threshold, enough[0] if enough else min(m for m, _, unsure in allowed if unsure == largest_share)
    )


def test_no_picture_is_unsure_where_all_predictions_are_right() -> None:
    rule = calibration.fit_decision_rule(predictions([3, 0.01, -0.01, -4], [0, 0, 1, 1]), 1.0, 0.5, Abstention())
    assert rule == DecisionRule(0.5, 0.0, None)


def test_the_margin_is_in_logits_after_the_temperature() -> None:
    given = predictions([8, 6, -4, 2, -8, -6], [0, 0, 0, 1, 1, 1])  # wrong up to a logit of 4 from the threshold
    for temperature in (1.0, 2.0, 4.0):
        rule = calibration.fit_decision_rule(given, temperature, 0.5, Abstention(min_accuracy=0.99, max_share=0.5))
        assert rule.margin == pytest.approx(6 / temperature)


def test_only_the_clean_view_determines_the_margin() -> None:
    clean, degraded = [3, 2, -2, -3], [-3, -3, 3, 3]
    assert (
        calibration.fit_decision_rule(predictions([clean, degraded], [0, 0, 1, 1]), 1.0, 0.5, Abstention()).margin == 0
    )


# --- threshold ---


@settings(deadline=None)
@given(validations(), st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9]), st.sampled_from([0.05, 1.0, 2.0]))
def test_at_a_false_positive_rate_no_larger_share_of_human_pictures_is_called_ai(
    given: HeldOutPredictions, rate: float, temperature: float
) -> None:
    rule = calibration.fit_decision_rule(given, temperature, FalsePositiveRate(fpr=rate), Abstention())
    human = given.logits[0][given.classes == 1].astype(np.float64) / temperature
    for p in (expit(human), expit(human).astype(np.float32).astype(np.float64)):  # float32, as models give them
        assert (rule.predicted(p) == "AI").mean() <= rate
    assert isinstance(rule.threshold, float)
    lower = DecisionRule(max(1e-40, rule.threshold * (1 - 1e-6)))  # no lower threshold works, apart from rounding
    if 1e-6 < rule.threshold < 1 - 1e-6:
        assert (lower.predicted(expit(human)) == "AI").mean() > rate


def test_a_rate_of_a_tenth_lets_one_human_picture_of_ten_pass_for_ai() -> None:
    human = np.arange(10.0)
    given = predictions([*human, 7.5, 20], [1] * 10 + [0, 0])
    rule = calibration.fit_decision_rule(given, 2.0, FalsePositiveRate(fpr=0.1), Abstention(max_share=0))
    assert rule.threshold == pytest.approx(expit(8 / 2.0), abs=1e-6)
    assert (rule.predicted(expit(human / 2)) == "AI").sum() == 1


# --- novelty and the record ---


def test_the_novelty_limit_is_exceeded_by_1_percent_of_the_validation_views() -> None:
    novelty = np.random.default_rng(1).gamma(3, 1 / 3, (5, 400))
    rule = calibration.fit_decision_rule(
        predictions(np.zeros((5, 400)), [0, 1] * 200, novelty=novelty), 1.0, 0.5, Abstention()
    )
    assert rule.novelty is not None
    assert (novelty > rule.novelty).mean() == pytest.approx(0.01, abs=1e-3)


def test_a_model_whose_novelty_is_always_0_has_no_limit() -> None:
    assert (
        calibration.fit_decision_rule(
            predictions([1, -1], [0, 1], novelty=np.zeros((1, 2))), 1.0, 0.5, Abstention()
        ).novelty
        is None
    )


def test_the_summary_is_of_the_clean_view_by_weight() -> None:
    given = predictions([[3, -0.2, 1, -3], [9, 9, 9, 9]], [0, 0, 1, 1], [1, 1, 2, 4])
    found = calibration.summary(given, 1.0, DecisionRule(0.5, 0.5, None))
    assert (found["pictures"], found["views"], found["temperature"], found["threshold"]) == (4, 2, 1.0, 0.5)
    assert found["val_accuracy"] == pytest.approx(5 / 8)
    assert found["val_unsure"] == pytest.approx(1 / 8)
    assert found["val_accuracy_decided"] == pytest.approx(5 / 7)
    assert (found["unsure_from"], found["unsure_to"]) == pytest.approx((expit(-0.5), expit(0.5)))


def test_a_summary_without_any_verdict_and_one_of_certainties_are_no_crash() -> None:
    given = predictions([200, -200], [0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert calibration.summary(given, 0.05, DecisionRule(0.5, 1e3))["val_accuracy_decided"] is None
        assert calibration.summary(given, 0.05, DecisionRule())["val_accuracy"] == 1


@pytest.mark.parametrize("value", [0, 1, 1.5, {"fpr": 0}, {"fpr": 1}, {"fp": 0.1}, "half"])
def test_a_threshold_that_makes_no_sense_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Share | FalsePositiveRate).validate_python(value)
