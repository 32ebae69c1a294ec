"""Calibration: fits how logits become probabilities, and how probabilities become verdicts.

Both are fitted on pictures that the head making the predictions has not been trained on. For artnet these are pictures
of sources that it has not been trained on, either; see `artdetect.train.out_of_source`. Probabilities are also fitted
on degraded views, because pictures in use are degraded.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from artdetect.core.config_section import Section
from artdetect.model.decision import DecisionRule
from artdetect.model.probabilities import Calibration
from artdetect.pictures.labels import AI, CLASSES, HUMAN

if TYPE_CHECKING:
    import numpy as np

MAX_TEMPERATURE, MIN_TEMPERATURE = 20.0, 0.05  # a fit beyond these means that there are too few pictures
NOVELTY_QUANTILE = 0.99  # share of views that count as like the training data
LEAST_BOUND = 0.05  # from 0.5: so far from each other the bounds stay, or the order of the pictures would be lost
MIN_SIDE_SHARE = 0.25  # of the canonical square's side: degraded views shrink pictures no further
MIN_SIDE = 32  # pixels: below, a person sees no picture, either
SEED = 129  # of the bootstrap
MIN_CONTRAST = 2.0  # standard deviation of grey values, 0..127.5: below, a picture is of one colour

Share = Annotated[float, Field(gt=0, lt=1)]


class FalsePositiveRate(Section):
    """`threshold = {fpr = 0.01}`: predict AI for at most this share of human-made held-out pictures."""

    fpr: Share


class Abstention(Section):
    """`abstain = {min_accuracy = 0.95}`: where there is a verdict, this share is right, of "AI" and of "human" each.

    As many pictures are unsure as that takes. `max_share` overrules it: no more than that share is unsure.
    """

    min_accuracy: Share = 0.95
    max_share: Annotated[float, Field(ge=0, lt=1)] | None = None


@dataclass(frozen=True)
class HeldOutPredictions:
    """An uncalibrated model's predictions for V views of N pictures it was not trained on. View 0 is the clean one.

    Args:
        logits: float [V, N], the logit of AI minus the logit of human.
        classes: int [N], the true classes.
        weights: float [N], how much each picture counts.
        novelty: float [V, N], where the model has a novelty score.
    """

    logits: "np.ndarray"
    classes: "np.ndarray"
    weights: "np.ndarray"
    novelty: "np.ndarray | None" = None

    def equal_shares(self) -> "np.ndarray":
        """The weights [N], rescaled so that both classes weigh the same and all together 1."""
        import numpy as np

        totals = np.bincount(self.classes, self.weights, len(CLASSES))
        return self.weights / np.where(totals > 0, totals, 1)[self.classes] / np.count_nonzero(totals)

    def log_loss(self, calibration: Calibration) -> float:
        """The mean log loss over all views, in nats, with the classes equally frequent."""
        import numpy as np

        from artdetect.stats.log_loss import log_losses

        truth = np.broadcast_to(self.classes == AI, self.logits.shape)
        return float(np.mean(log_losses(truth, calibration(self.logits)) @ self.equal_shares()))


def fit_calibration(predictions: HeldOutPredictions) -> Calibration:
    """The calibration that minimises the log loss over all views, with bounds from the clean view.

    Source of the temperature: Guo et al., "On Calibration of Modern Neural Networks" (2017).
    """
    import numpy as np
    from scipy.optimize import minimize_scalar

    p_min, p_max = _bounds(predictions)

    def loss(log_temperature: float) -> float:
        return predictions.log_loss(Calibration(float(np.exp(log_temperature)), p_min, p_max))

    bounds = np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)
    return Calibration(float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)), p_min, p_max)


def _bounds(predictions: HeldOutPredictions) -> tuple[float, float]:
    """The smallest and the largest p(AI) that the clean view supports.

    The largest is the best lower limit, over all tails of the largest logits, of the share of AI in the tail. The
    smallest is likewise the best upper limit over the tails of the smallest logits. A tail counts as many pictures as
    have its weights' effective number (Kish 1965). Where there is next to no evidence, the bounds are `LEAST_BOUND`
    from 0.5.
    """
    logits, shares = predictions.logits[0], predictions.equal_shares()
    is_ai = predictions.classes == AI
    p_max = _best_lower_limit(logits, is_ai, shares)
    p_min = 1 - _best_lower_limit(-logits, ~is_ai, shares)
    return min(p_min, 0.5 - LEAST_BOUND), max(p_max, 0.5 + LEAST_BOUND)


def _best_lower_limit(scores: "np.ndarray", right: "np.ndarray", weights: "np.ndarray") -> float:
    import numpy as np

    from artdetect.stats.confidence_intervals import upper_limit

    order = np.argsort(-scores, kind="stable")
    right, weights = right[order], weights[order]
    total, squares = np.cumsum(weights), np.cumsum(weights**2)
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # a tail does not divide equal scores
    effective = total[last] ** 2 / squares[last]
    errors = np.clip(1 - np.cumsum(weights * right)[last] / total[last], 0, 1) * effective
    return float(1 - upper_limit(errors, effective).min())


def fit_decision_rule(
    predictions: HeldOutPredictions,
    calibration: Calibration,
    threshold: float | FalsePositiveRate,
    abstain: Abstention,
    size: int = 0,
) -> DecisionRule:
    """The decision rule, fitted on the clean view.

    The unsure band is the narrowest one outside of which at least `abstain.min_accuracy` of the verdicts are right, of
    those for AI and of those for human each, if both classes are equally frequent. Where no band achieves that on one
    side, there is no verdict on that side. `abstain.max_share` narrows the band, if it is given.

    Args:
        predictions: Predictions to fit on.
        calibration: How their logits become probabilities.
        threshold: The p(AI) from which the prediction is AI, or the false positive rate that determines it.
        abstain: When to leave a picture unsure.
        size: Side of the canonical square in pixels.
    """
    import numpy as np

    p_ai = calibration(predictions.logits[0]).astype(np.float32).astype(np.float64)  # models give float32
    if not isinstance(threshold, float):
        threshold = _threshold_at(p_ai[predictions.classes == HUMAN], threshold.fpr)
    right = (p_ai >= threshold) == (predictions.classes == AI)
    weights = predictions.equal_shares()
    below, above = (
        _sure_from(np.abs(p_ai - threshold)[side], right[side], weights[side], abstain.min_accuracy)
        for side in (p_ai < threshold, p_ai >= threshold)
    )
    never = float(np.nextafter(1, 2))
    human_below, ai_from = max(threshold - below, 0.0), max(min(threshold + above, never), threshold)
    if abstain.max_share is not None:
        human_below, ai_from = _narrowed(p_ai, threshold, human_below, ai_from, abstain.max_share)
    novelty = novelty_limit(predictions)
    min_side = max(MIN_SIDE, round(MIN_SIDE_SHARE * size))
    return DecisionRule(threshold, human_below, ai_from, novelty, min_side, MIN_CONTRAST)


def _sure_from(distances: "np.ndarray", right: "np.ndarray", weights: "np.ndarray", accuracy: float) -> float:
    """The shortest distance from the threshold from which a share `accuracy` is right; infinite if there is none.

    It is halfway between two pictures, so that the last bits of a probability do not decide.

    Args:
        distances: Of the pictures on one side of the threshold, float [n].
        right: Whether they are on the right side, bool [n].
        weights: How much they count, float [n].
        accuracy: The share.
    """
    import numpy as np

    order = np.argsort(-distances, kind="stable")
    distances, right, weights = distances[order], right[order], weights[order]
    shares = np.cumsum(weights * right) / np.cumsum(weights)
    last = np.flatnonzero(np.diff(distances, append=-np.inf))  # equal probabilities get the same verdict
    found = np.flatnonzero(shares[last] >= accuracy - 1e-12)
    if not found.size:
        return np.inf
    if found[-1] == len(last) - 1:
        return 0.0
    return float(distances[last[found[-1] : found[-1] + 2]].mean())


def _narrowed(
    p_ai: "np.ndarray", threshold: float, human_below: float, ai_from: float, max_share: float
) -> tuple[float, float]:
    """The band, shrunk towards the threshold on both sides alike until at most `max_share` is inside."""
    import numpy as np

    widths = np.where(p_ai < threshold, threshold - human_below, ai_from - threshold)
    distances = np.abs(p_ai - threshold)
    relative = np.sort(np.divide(distances, widths, out=np.full(len(p_ai), np.inf), where=widths > 0))
    first_out = relative[int(max_share * len(p_ai))]  # 1 is the edge of the band
    if first_out > 1:
        return human_below, ai_from
    factor = (first_out + max(relative[relative < first_out], default=0.0)) / 2 if first_out > 0 else 0.0
    return float(threshold - factor * (threshold - human_below)), float(threshold + factor * (ai_from - threshold))


def _threshold_at(p_human: "np.ndarray", rate: float) -> float:
    """The lowest float32 threshold that at most a share `rate` of the human-made pictures' p(AI) reach.

    Models give float32 probabilities.
    """
    import numpy as np

    highest_allowed = np.sort(p_human)[::-1][int(rate * len(p_human))]
    return float(np.nextafter(np.float32(highest_allowed), np.float32(np.inf)))


def novelty_limit(predictions: HeldOutPredictions) -> float | None:
    """The novelty score that a share of `NOVELTY_QUANTILE` of the views stays below; None where there is no score."""
    import numpy as np

    if predictions.novelty is None:
        return None
    return float(np.quantile(predictions.novelty, NOVELTY_QUANTILE)) or None


def measures(predictions: HeldOutPredictions, calibration: Calibration, rule: DecisionRule) -> dict[str, Any]:
    """The measures of `verdict_measures` on the clean view, with intervals over pictures, and `pictures`."""
    import numpy as np

    from artdetect.stats.verdict_measures import verdict_measures

    p_ai = calibration(predictions.logits[0])
    reasons = rule.reasons(p_ai, None if predictions.novelty is None else predictions.novelty[0])
    verdicts = rule.verdicts(p_ai, reasons)
    clusters = np.arange(len(p_ai))
    return {
        "pictures": len(p_ai),
        **verdict_measures(predictions.classes == AI, p_ai, verdicts, predictions.weights, clusters, SEED),
    }


def summary(predictions: HeldOutPredictions, calibration: Calibration, rule: DecisionRule) -> dict[str, Any]:
    """What was fitted, for metrics.json.

    Args:
        predictions: The predictions that calibration and rule were fitted on.
        calibration: How their logits become probabilities.
        rule: The decision rule.
    """
    low, high = rule.band()
    return {
        "pictures": len(predictions.classes),
        "views": len(predictions.logits),
        "temperature": calibration.temperature,
        "p_min": calibration.p_min,
        "p_max": calibration.p_max,
        "threshold": rule.threshold,
        "unsure_from": low,
        "unsure_to": high,
        "novelty": rule.novelty,
    }
