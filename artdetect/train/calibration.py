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
TAIL_CONFIDENCE = 0.95  # of the interval of an error rate that bounds the probabilities, one-sided
MIN_SIDE_SHARE = 0.25  # of the canonical square's side: degraded views shrink pictures no further
MIN_SIDE = 32  # pixels: below, a person sees no picture, either
SEED = 129  # of the bootstrap
MIN_CONTRAST = 2.0  # standard deviation of grey values, 0..127.5: below, a picture is of one colour

Share = Annotated[float, Field(gt=0, lt=1)]


class FalsePositiveRate(Section):
    """`threshold = {fpr = 0.01}`: predict AI for at most this share of human-made validation pictures."""

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
    have its weights' effective number (Kish 1965).
    """
    logits, shares = predictions.logits[0], predictions.equal_shares()
    is_ai = predictions.classes == AI
    p_max = _best_lower_limit(logits, is_ai, shares)
    p_min = 1 - _best_lower_limit(-logits, ~is_ai, shares)
    return min(p_min, 0.5), max(p_max, 0.5)


def _best_lower_limit(scores: "np.ndarray", right: "np.ndarray", weights: "np.ndarray") -> float:
    import numpy as np
    from scipy.stats import beta

    order = np.argsort(-scores, kind="stable")
    right, weights = right[order], weights[order]
    total, squares = np.cumsum(weights), np.cumsum(weights**2)
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # a tail does not divide equal scores
    effective = total[last] ** 2 / squares[last]
    errors = np.clip(1 - np.cumsum(weights * right)[last] / total[last], 0, 1) * effective
    limits = 1 - beta.ppf(TAIL_CONFIDENCE, errors + 1, np.maximum(effective - errors, 1e-9))  # Clopper and Pearson
    return float(limits.max())


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

    p_ai = calibration(predictions.logits[0])
    if not isinstance(threshold, float):
        threshold = _threshold_at(p_ai[predictions.classes == HUMAN], threshold.fpr)
    weights = predictions.equal_shares()
    is_ai = predictions.classes == AI
    ai_from = _sure_from(p_ai, is_ai, weights, threshold, abstain.min_accuracy)
    human_below = 1 - _sure_from(1 - p_ai, ~is_ai, weights, 1 - threshold, abstain.min_accuracy)
    if abstain.max_share is not None:
        human_below, ai_from = _narrowed(p_ai, threshold, human_below, ai_from, abstain.max_share)
    novelty = None
    if predictions.novelty is not None:
        novelty = float(np.quantile(predictions.novelty, NOVELTY_QUANTILE)) or None
    min_side = max(MIN_SIDE, round(MIN_SIDE_SHARE * size))
    return DecisionRule(
        threshold, min(human_below, threshold), max(ai_from, threshold), novelty, min_side, MIN_CONTRAST
    )


def _sure_from(p: "np.ndarray", right: "np.ndarray", weights: "np.ndarray", threshold: float, accuracy: float) -> float:
    """The lowest p, at least `threshold`, from which a share `accuracy` is right, by weight; 1 if there is none."""
    import numpy as np

    order = np.argsort(-p, kind="stable")
    p, right, weights = p[order], right[order], weights[order]
    shares = np.cumsum(weights * right) / np.cumsum(weights)
    last = np.flatnonzero(np.diff(p, append=-np.inf))  # equal probabilities get the same verdict
    found = last[(shares[last] >= accuracy) & (p[last] >= threshold)]
    if not found.size:
        return 1.0
    if found[-1] == last[p[last] >= threshold][-1]:  # all are right enough
        return threshold
    return float(p[found[-1]])


def _narrowed(
    p_ai: "np.ndarray", threshold: float, human_below: float, ai_from: float, max_share: float
) -> tuple[float, float]:
    """The band, shrunk towards the threshold on both sides alike until at most `max_share` is inside."""
    import numpy as np

    below = np.where(p_ai < threshold, (threshold - p_ai) / max(threshold - human_below, 1e-12), np.inf)
    above = np.where(p_ai >= threshold, (p_ai - threshold) / max(ai_from - threshold, 1e-12), np.inf)
    relative = np.sort(np.minimum(below, above))  # 1 is the edge of the band
    allowed = int(max_share * len(p_ai))
    factor = min(1.0, float(relative[allowed])) if allowed < len(p_ai) else 1.0
    return threshold - factor * (threshold - human_below), threshold + factor * (ai_from - threshold)


def _threshold_at(p_human: "np.ndarray", rate: float) -> float:
    """The lowest float32 threshold that at most a share `rate` of the human-made pictures' p(AI) reach.

    Models give float32 probabilities.
    """
    import numpy as np

    highest_allowed = np.sort(p_human)[::-1][int(rate * len(p_human))]
    return float(np.nextafter(np.float32(highest_allowed), np.float32(np.inf)))


def measures(predictions: HeldOutPredictions, calibration: Calibration, rule: DecisionRule) -> dict[str, Any]:
    """The measures of `verdict_measures` on the clean view, with intervals over pictures, and `pictures`."""
    import numpy as np

    from artdetect.stats.verdict_measures import verdict_measures

    p_ai = calibration(predictions.logits[0])
    reasons = rule.reasons(p_ai, None if predictions.novelty is None else predictions.novelty[0])
    verdicts = rule.verdicts(p_ai, reasons)
    called = (verdicts == CLASSES[AI]).astype(int) - (verdicts == CLASSES[HUMAN])
    clusters = np.arange(len(p_ai))
    return {
        "pictures": len(p_ai),
        **verdict_measures(predictions.classes == AI, p_ai, called, predictions.weights, clusters, SEED),
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
