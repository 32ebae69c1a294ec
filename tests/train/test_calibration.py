"""Temperature, bounds, threshold and band, compared with the results of exhaustive search."""

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import TypeAdapter, ValidationError
from scipy.special import expit
from scipy.stats import beta

from artdetect.model.decision import NEAR, UNSURE, DecisionRule
from artdetect.model.probabilities import Calibration
from artdetect.pictures.labels import AI, CLASSES
from artdetect.train import calibration
from artdetect.train.calibration import Abstention, FalsePositiveRate, HeldOutPredictions, Share

NAMES = np.array(CLASSES)
PLAIN = Calibration(1.0)


def predictions(logits: Any, classes: Any, weights: Any = None, novelty: Any = None) -> HeldOutPredictions:
    """Predictions for one view or several. Without weights, all pictures count the same."""
    classes = np.array(classes)
    weights = np.ones(len(classes)) if weights is None else np.array(weights, np.float64)
    return HeldOutPredictions(np.atleast_2d(np.array(logits, np.float64)), classes, weights, novelty)


@st.composite
def held_out(draw: st.DrawFn) -> HeldOutPredictions:
    """A few pictures of both classes, many with equal logits, some so large that float32 probabilities are 0 or 1."""
    count = draw(st.integers(2, 14))
    logits = draw(arrays(np.float64, count, elements=st.sampled_from([-40, -2, -1, -0.5, 0, 0.5, 1, 2, 16, 17, 40])))
    classes = draw(arrays(np.int64, count, elements=st.integers(0, 1)))
    assume(len(set(classes)) == 2)
    return predictions(logits, classes, draw(arrays(np.float64, count, elements=st.sampled_from([0.5, 1, 2]))))


TEMPERATURES = st.sampled_from([0.05, 1.0, 2.0])
CALIBRATIONS = st.builds(Calibration, TEMPERATURES, st.sampled_from([0.001, 0.3]), st.sampled_from([0.7, 0.999]))
ANY_CALIBRATION = CALIBRATIONS | st.builds(Calibration, TEMPERATURES)  # without bounds, too


# --- temperature ---


def calibrated_logits() -> tuple[np.ndarray, np.ndarray]:
    """Logits of 4,000 pictures, and classes with the probabilities that these logits stand for."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 4000)
    return logits, (rng.random(4000) > expit(logits)).astype(np.int64)


@pytest.mark.parametrize("true", [0.2, 1.0, 3.0, 12.0])
def test_known_probabilities_are_found_over_all_views_whatever_the_scale_of_the_logits(true: float) -> None:
    logits, classes = calibrated_logits()
    views = np.tile(logits * true, (3, 1))
    found = calibration.fit_calibration(predictions(views, classes))
    np.testing.assert_allclose(found(views[0]), expit(logits), atol=0.04)
    assert found.temperature == pytest.approx(true, rel=0.2)  # smaller than the true one, as the bounds flatten, too


@settings(deadline=None)
@given(held_out())
def test_no_temperature_has_a_smaller_log_loss(given: HeldOutPredictions) -> None:
    found = calibration.fit_calibration(given)
    tried = np.geomspace(calibration.MIN_TEMPERATURE, calibration.MAX_TEMPERATURE, 200)
    losses = [given.log_loss(Calibration(float(t), found.p_min, found.p_max)) for t in tried]
    here = given.log_loss(found)
    # where the loss has several minima, at least the one that was found
    assert here <= min(losses) + 1e-6 or here <= min(losses[np.searchsorted(tried, found.temperature) - 1 :][:2]) + 1e-6


def test_the_log_loss_is_scikit_learns_with_equal_classes() -> None:
    from sklearn.metrics import log_loss

    rng = np.random.default_rng(3)
    given = predictions(rng.normal(0, 2, (2, 60)), rng.integers(0, 2, 60), rng.uniform(0.1, 2, 60))
    mapping = Calibration(1.7, 0.05, 0.9)
    totals = np.bincount(given.classes, given.weights)
    expected = np.mean(
        [
            log_loss(given.classes == AI, mapping(view), sample_weight=given.weights / totals[given.classes])
            for view in given.logits
        ]
    )
    assert given.log_loss(mapping) == pytest.approx(expected)
    np.testing.assert_allclose(np.bincount(given.classes, given.equal_shares()), [0.5, 0.5])


def test_degraded_views_count_and_so_do_weights() -> None:
    """View 1 is wrong more often. Heavier errors raise the temperature."""
    clean, classes = calibrated_logits()
    confused = np.where(np.arange(4000) % 4, clean, -clean)
    fit = calibration.fit_calibration
    alone, both = (fit(predictions(logits, classes)).temperature for logits in (clean, [clean, confused]))
    assert both > 1.2 * alone
    heavy = np.where((clean > 0) == (classes == AI), 1, 2)
    assert fit(predictions(clean, classes, heavy)).temperature > 1.2 * alone


@pytest.mark.parametrize(("sign", "bound"), [(1, calibration.MIN_TEMPERATURE), (-1, calibration.MAX_TEMPERATURE)])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_pictures_that_are_all_right_or_all_wrong_end_within_the_limits(sign: int, bound: float, scale: float) -> None:
    classes = np.array([0, 0, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = calibration.fit_calibration(predictions(sign * scale * np.array([3, 1, -1, -2.0]), classes))
    assert calibration.MIN_TEMPERATURE <= found.temperature <= calibration.MAX_TEMPERATURE
    assert (found.p_min, found.p_max) == (0.45, 0.55)  # there are two pictures of each class
    if scale == 1:
        assert found.temperature == pytest.approx(bound, rel=0.01)


# --- bounds of the probabilities ---


def tail_limit(logits: np.ndarray, right: np.ndarray, weights: np.ndarray) -> float:
    """The best lower limit of the share that is right, over all tails of the largest logits."""
    limits = []
    for lowest in set(logits):
        tail = logits >= lowest
        effective = weights[tail].sum() ** 2 / (weights[tail] ** 2).sum()
        wrong = effective * np.average(~right[tail], weights=weights[tail])
        limits.append(0.0 if wrong > effective - 1e-6 else 1 - beta.ppf(0.95, wrong + 1, effective - wrong))
    return float(max(limits))


@settings(deadline=None)
@given(held_out())
def test_the_bounds_are_the_best_limits_that_trying_all_tails_finds(given: HeldOutPredictions) -> None:
    found = calibration.fit_calibration(given)
    logits, is_ai, weights = given.logits[0], given.classes == AI, given.equal_shares()
    assert found.p_max == pytest.approx(max(0.55, tail_limit(logits, is_ai, weights)), abs=1e-6)
    assert found.p_min == pytest.approx(min(0.45, 1 - tail_limit(-logits, ~is_ai, weights)), abs=1e-6)
    p = found(np.array([-np.inf, 0.0, np.inf]))
    assert p.tolist() == pytest.approx([found.p_min, (found.p_min + found.p_max) / 2, found.p_max])


def test_pictures_keep_their_order_where_there_is_next_to_no_evidence() -> None:
    given = predictions([2.0, 1.0, -1.0, -2.0], [0, 1, 0, 1])
    p = calibration.fit_calibration(given)(given.logits[0])
    assert (np.diff(p) < 0).all()
    assert (p[0] < 0.55, p[-1] > 0.45) == (True, True)


@pytest.mark.parametrize("pictures", [10, 59, 1000])
def test_without_any_error_the_bound_is_the_rule_of_three(pictures: int) -> None:
    """After n successes, the error rate is below 3 / n with a confidence of 95 %."""
    given = predictions(np.repeat([2.0, -2.0], pictures), np.repeat([0, 1], pictures))
    found = calibration.fit_calibration(given)
    assert 1 - found.p_max == pytest.approx(1 - 0.05 ** (1 / pictures))
    assert found.p_min == pytest.approx(1 - found.p_max)
    assert 1 - found.p_max < 3 / pictures


def test_an_error_among_the_surest_lowers_the_bound_and_only_on_its_side() -> None:
    logits, classes = np.linspace(4, -4, 400), np.repeat([0, 1], 200)
    clean = calibration.fit_calibration(predictions(logits, classes))
    logits[200] = 10  # a human picture
    found = calibration.fit_calibration(predictions(logits, classes))
    assert found.p_max < clean.p_max - 0.005
    assert found.p_min == pytest.approx(clean.p_min, abs=1e-3)


def test_few_heavy_pictures_support_less_than_many_light_ones() -> None:
    classes = np.repeat([0, 1], 100)
    logits = np.where(classes == 0, 2.0, -2.0)
    heavy = np.where(np.arange(200) % 100 < 5, 100.0, 1.0)
    one, other = (calibration.fit_calibration(predictions(logits, classes, w)) for w in (None, heavy))
    assert other.p_max < one.p_max - 0.05


# --- band ---


def outcome(rule: DecisionRule, given: HeldOutPredictions, mapping: Calibration) -> tuple[list[float | None], float]:
    """The share of a rule's AI and human verdicts that is right at equal shares, and the share of pictures unsure."""
    p = mapping(given.logits[0]).astype(np.float32)  # as models give them
    verdicts = rule.verdicts(p, rule.reasons(p))
    weights = given.equal_shares()
    right = [
        float(np.average(NAMES[given.classes][verdicts == name] == name, weights=weights[verdicts == name]))
        if (verdicts == name).any()
        else None
        for name in CLASSES
    ]
    return right, float((verdicts == UNSURE).mean())


@settings(deadline=None, max_examples=200)
@given(
    held_out(), CALIBRATIONS, st.sampled_from([0.2, 0.5, 0.9]), st.sampled_from([0.2, 0.5, 0.75, 0.95]),
)  # fmt: skip
@example(predictions([1, 1, 2], [1, 0, 0]), PLAIN, 0.5, 0.95)  # a tie: one of the two closest is right
@example(predictions([2, 1, -1, -2], [1, 0, 1, 0]), PLAIN, 0.5, 0.95)  # no side is ever right enough
def test_the_band_is_the_narrowest_that_trying_all_finds(
    given: HeldOutPredictions, mapping: Calibration, threshold: float, accuracy: float
) -> None:
    rule = calibration.fit_decision_rule(given, mapping, threshold, Abstention(min_accuracy=accuracy))
    p = sorted({float(x) for x in mapping(given.logits[0]).astype(np.float32)})
    between = [threshold, *((low + high) / 2 for low, high in pairwise(p))]
    low, high = rule.band()
    for number, (side, found, none) in enumerate(((between, high, np.nextafter(1, 2)), (between, low, 0.0))):
        enough = []
        for edge in side:
            if (edge < threshold) if number == AI else (edge > threshold):
                continue
            band = (threshold, edge) if number == AI else (edge, threshold)
            share = outcome(DecisionRule(threshold, *band), given, mapping)[0][number]
            if share is not None and share >= accuracy - 1e-9:
                enough.append(edge)
        best = min(enough, key=lambda edge: abs(edge - threshold), default=none)
        assert outcome(DecisionRule(threshold, low, high), given, mapping)[0][number] == pytest.approx(
            outcome(
                DecisionRule(threshold, *((threshold, best) if number == AI else (best, threshold))), given, mapping
            )[0][number]
        )
        if none not in (best, found):
            assert found == pytest.approx(best, abs=1e-6)


@settings(deadline=None)
@given(
    held_out(), CALIBRATIONS, st.sampled_from([0.2, 0.5, 0.9]), st.sampled_from([0.5, 0.75, 0.95]),
    st.sampled_from([0.0, 0.25, 0.5, 0.9]),
)  # fmt: skip
def test_no_more_than_the_largest_share_is_unsure_and_the_band_shrinks_on_both_sides_alike(
    given: HeldOutPredictions, mapping: Calibration, threshold: float, accuracy: float, max_share: float
) -> None:
    free = calibration.fit_decision_rule(given, mapping, threshold, Abstention(min_accuracy=accuracy))
    rule = calibration.fit_decision_rule(
        given, mapping, threshold, Abstention(min_accuracy=accuracy, max_share=max_share)
    )
    assert outcome(rule, given, mapping)[1] <= max_share
    if outcome(free, given, mapping)[1] <= max_share:
        assert outcome(rule, given, mapping) == outcome(free, given, mapping)
    (low, high), (free_low, free_high) = rule.band(), free.band()
    assert free_low <= low <= threshold <= high <= free_high
    if free_low < threshold < free_high:
        assert (threshold - low) / (threshold - free_low) == pytest.approx((high - threshold) / (free_high - threshold))
    widths = threshold - free_low, free_high - threshold
    if rule.band() != free.band():  # the next wider band would leave too many unsure
        p = mapping(given.logits[0]).astype(np.float32).astype(np.float64)
        inside = np.array([threshold - low, high - threshold])
        now = max(part / width for part, width in zip(inside, widths, strict=True) if width > 0)
        sides = [(abs(x - threshold), widths[int(x >= threshold)]) for x in p]
        parts = [distance / width for distance, width in sides if width > 0]
        factor = min(1.0, min((part for part in parts if part > now), default=1.0) + 1e-9)
        wider_low, wider_high = (factor * width for width in widths)
        tried = DecisionRule(threshold, max(threshold - wider_low, 0.0), threshold + wider_high)
        assert outcome(tried, given, mapping)[1] > max_share


def test_no_picture_is_unsure_where_all_predictions_are_right() -> None:
    rule = calibration.fit_decision_rule(predictions([3, 0.01, -0.01, -4], [0, 0, 1, 1]), PLAIN, 0.5, Abstention())
    assert rule.band() == (0.5, 0.5)


def test_each_side_of_the_band_is_as_wide_as_its_own_errors_make_it() -> None:
    given = predictions([8, 6, -4, 2, -8, -6, -3], [0, 0, 0, 1, 1, 1, 1])
    rule = calibration.fit_decision_rule(given, PLAIN, 0.5, Abstention(min_accuracy=0.95))
    assert rule.band() == pytest.approx(((expit(-6) + expit(-4)) / 2, (expit(6) + expit(2)) / 2), rel=1e-5)
    given = predictions([8, 6, 4, 2, -8, -6, -3], [0, 0, 0, 1, 1, 1, 1])
    assert calibration.fit_decision_rule(given, PLAIN, 0.5, Abstention()).human_below == 0.5


def test_a_side_that_is_never_right_enough_has_no_verdicts() -> None:
    logits = np.array([9.0, 5, 4, 3, -3, -4, -5])
    given = predictions(logits, [1, 0, 0, 0, 1, 1, 1])  # the surest AI is human
    mapping = Calibration(1.0, 0.01, 0.99)
    rule = calibration.fit_decision_rule(given, mapping, 0.5, Abstention(min_accuracy=0.95))
    p = mapping(np.array([-50.0, 50.0]))
    assert rule.verdicts(p, rule.reasons(p)).tolist() == ["human", UNSURE]
    nothing = calibration.fit_decision_rule(predictions([3, 4], [0, 1]), mapping, 0.5, Abstention())
    assert nothing.reasons(p).tolist() == [NEAR, NEAR]  # no picture was on the side of human


def test_the_classes_count_the_same_however_many_pictures_they_have() -> None:
    """Of ten AI verdicts nine are right; at equal shares, nine of 90 AI pictures against one of ten human ones."""
    logits, classes = np.repeat([2.0, -2.0, 2.0, -2.0], [9, 81, 1, 9]), np.repeat([0, 0, 1, 1], [9, 81, 1, 9])
    given = predictions(logits, classes)
    fit = calibration.fit_decision_rule
    assert fit(given, PLAIN, 0.5, Abstention(min_accuracy=0.5)).ai_from == 0.5
    assert fit(given, PLAIN, 0.5, Abstention(min_accuracy=0.6)).ai_from > 1.0


def test_logits_so_large_that_all_are_at_the_bound_keep_their_verdicts_in_float32() -> None:
    """In float64 they are above a limit that float32 rounds them below."""
    given = predictions([30.0, 20, 10, 0.1, -0.1, -10, -20, -30], [0, 0, 0, 1, 0, 1, 1, 1])
    mapping = Calibration(0.05, 0.0312345678912, 0.9687654321088)
    rule = calibration.fit_decision_rule(given, mapping, 0.5, Abstention())
    for p in (mapping(given.logits[0]), mapping(given.logits[0]).astype(np.float32)):
        assert rule.verdicts(p, rule.reasons(p)).tolist() == ["AI"] * 3 + [UNSURE] * 2 + ["human"] * 3


def test_only_the_clean_view_determines_the_band() -> None:
    given = predictions([[3, 2, -2, -3], [-3, -3, 3, 3]], [0, 0, 1, 1])
    assert calibration.fit_decision_rule(given, PLAIN, 0.5, Abstention()).band() == (0.5, 0.5)


# --- threshold ---


@settings(deadline=None)
@given(held_out(), st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9]), ANY_CALIBRATION)
def test_at_a_false_positive_rate_no_larger_share_of_human_pictures_is_called_ai(
    given: HeldOutPredictions, rate: float, mapping: Calibration
) -> None:
    rule = calibration.fit_decision_rule(given, mapping, FalsePositiveRate(fpr=rate), Abstention())
    human = mapping(given.logits[0][given.classes == 1])
    for p in (human, human.astype(np.float32).astype(np.float64)):  # float32, as models give them
        assert (rule.predicted(p) == "AI").mean() <= rate
    assert isinstance(rule.threshold, float)
    lower = DecisionRule(max(1e-40, rule.threshold * (1 - 1e-6)))  # no lower threshold works, apart from rounding
    if 1e-6 < rule.threshold < 1 - 1e-6:
        assert (lower.predicted(human) == "AI").mean() > rate


def test_a_rate_of_a_tenth_lets_one_human_picture_of_ten_pass_for_ai() -> None:
    human = np.arange(10.0)
    given = predictions([*human, 7.5, 20], [1] * 10 + [0, 0])
    mapping = Calibration(2.0)
    rule = calibration.fit_decision_rule(given, mapping, FalsePositiveRate(fpr=0.1), Abstention(max_share=0))
    assert rule.threshold == pytest.approx(expit(8 / 2.0), abs=1e-6)
    assert (rule.predicted(expit(human / 2)) == "AI").sum() == 1


# --- novelty, size and the record ---


def test_the_novelty_limit_is_exceeded_by_1_percent_of_the_held_out_views() -> None:
    novelty = np.random.default_rng(1).gamma(3, 1 / 3, (5, 400))
    given = predictions(np.zeros((5, 400)), [0, 1] * 200, novelty=novelty)
    rule = calibration.fit_decision_rule(given, PLAIN, 0.5, Abstention())
    assert rule.novelty is not None
    assert (novelty > rule.novelty).mean() == pytest.approx(0.01, abs=1e-3)


def test_a_model_whose_novelty_is_always_0_has_no_limit() -> None:
    given = predictions([1, -1], [0, 1], novelty=np.zeros((1, 2)))
    assert calibration.fit_decision_rule(given, PLAIN, 0.5, Abstention()).novelty is None


@pytest.mark.parametrize(("size", "side"), [(0, 32), (32, 32), (224, 56), (300, 75)])
def test_pictures_smaller_than_any_degraded_view_get_no_verdict(size: int, side: int) -> None:
    rule = calibration.fit_decision_rule(predictions([1, -1], [0, 1]), PLAIN, 0.5, Abstention(), size)
    assert (rule.min_side, rule.min_contrast) == (side, calibration.MIN_CONTRAST)


def test_the_measures_are_of_the_verdicts_of_the_clean_view_by_weight_at_equal_shares() -> None:
    novelty = np.array([[0, 0, 0, 0, 9.0], [9, 9, 9, 9, 9]])
    given = predictions([[3, 0.2, 1, -3, -9], [9] * 5], [0, 0, 1, 1, 1], [1, 1, 2, 4, 2], novelty)
    found = calibration.measures(given, PLAIN, DecisionRule(0.5, 0.5, 0.6, novelty=1.0))
    assert found["pictures"] == 5
    value = {name: found[name]["value"] for name in ("balanced_accuracy", "firm", "right_ai", "right_human")}
    assert value == pytest.approx(
        {
            "balanced_accuracy": (1 + 6 / 8) / 2,
            "firm": (1 / 2 + 6 / 8) / 2,
            "right_ai": (1 / 4) / (1 / 4 + 1 / 8),
            "right_human": 1.0,
        }
    )


def test_measures_without_any_verdict_and_those_of_certainties_are_no_crash() -> None:
    given, certain = predictions([200, -200], [0, 1]), Calibration(0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        none = calibration.measures(given, certain, DecisionRule(0.5, 0.0, 2.0))
        assert (none["right_ai"], none["right_human"], none["firm"]["value"]) == (None, None, 0.0)
        assert calibration.measures(given, certain, DecisionRule())["balanced_accuracy"]["value"] == 1


def test_the_summary_says_what_was_fitted() -> None:
    given = predictions(np.zeros((3, 4)), [0, 0, 1, 1])
    assert calibration.summary(given, Calibration(1.5, 0.1, 0.8), DecisionRule(0.5, 0.3, 0.7, 2.0)) == {
        "pictures": 4, "views": 3, "temperature": 1.5, "p_min": 0.1, "p_max": 0.8, "threshold": 0.5,
        "unsure_from": 0.3, "unsure_to": 0.7, "novelty": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize("value", [0, 1, 1.5, {"fpr": 0}, {"fpr": 1}, {"fp": 0.1}, "half"])
def test_a_threshold_that_makes_no_sense_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Share | FalsePositiveRate).validate_python(value)
