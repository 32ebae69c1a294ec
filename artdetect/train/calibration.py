"""Calibration: what makes a probability mean what it says, and where the line between AI and human is drawn.

All of it is set on pictures that the judging head has not seen: validation's and, for artnet, the training pictures of
folds that other heads judge. The temperature also sees them degraded, because pictures in use are.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from artdetect.core.config_section import Section
from artdetect.model.decision import UNSURE, DecisionRule, logit
from artdetect.pictures.labels import AI, CLASSES, HUMAN

if TYPE_CHECKING:
    import numpy as np

HOTTEST, COLDEST = 20.0, 0.05  # a temperature outside says that validation is too small to tell
NOVELTY_QUANTILE = 0.99  # share of validation views that count as like what was learnt from

Share = Annotated[float, Field(gt=0, lt=1)]


class FalsePositiveRate(Section):
    """`threshold = {fpr = 0.01}`: call at most this share of human-made validation pictures AI."""

    fpr: Share


class Abstention(Section):
    """`unsure = {accuracy = 0.99, most = 0.1}`: how right verdicts must be, and how many pictures may go without."""

    accuracy: Share = 0.99
    most: Annotated[float, Field(ge=0, lt=1)] = 0.1


@dataclass(frozen=True)
class ValidationPredictions:
    """What a model, not calibrated yet, says of V views of N validation pictures; view 0 is the clean one."""

    margins: "np.ndarray"  # float [V, N]: logit of AI - logit of human
    classes: "np.ndarray"  # int [N]
    weights: "np.ndarray"  # float [N]
    novelty: "np.ndarray | None" = None  # float [V, N]


def fit_temperature(seen: ValidationPredictions) -> float:
    """What to divide logits by so that the log loss over all views is smallest (Guo et al. 2017)."""
    import numpy as np
    from scipy.optimize import minimize_scalar

    signed = np.where(seen.classes == AI, seen.margins, -seen.margins)
    weights = np.broadcast_to(seen.weights, signed.shape)

    def loss(log_temperature: float) -> float:
        return float(np.average(np.logaddexp(0, -signed / np.exp(log_temperature)), weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded").x))


def fit_decision_rule(
    seen: ValidationPredictions, hot: float, threshold: float | FalsePositiveRate, unsure: Abstention
) -> DecisionRule:
    """The rule of verdicts for logits that are divided by `hot`, from the clean views.

    The margin is the smallest outside which at least `unsure.accuracy` of the calls are right, counted by weight, and
    at most `unsure.most` of the pictures lie within.
    """
    import numpy as np

    p_ai = _probabilities(seen, hot)
    limit = threshold if isinstance(threshold, float) else _at_rate(p_ai[seen.classes == HUMAN], threshold.fpr)
    right = DecisionRule(limit).called(p_ai) == np.array(CLASSES)[seen.classes]
    distance = np.abs(logit(p_ai) - logit(limit))
    order = np.argsort(distance)
    outside, weights = distance[order], seen.weights[order]
    kept = np.cumsum(weights[::-1])[::-1]
    accuracy = np.cumsum((weights * right[order])[::-1])[::-1] / kept
    starts = np.flatnonzero(np.diff(outside, prepend=-1.0))  # of pictures that are as near, all are unsure or none
    starts = starts[starts <= unsure.most * len(order)]
    enough = starts[accuracy[starts] >= unsure.accuracy]
    first = int(enough[0] if enough.size else starts[-1])
    usual = None if seen.novelty is None else float(np.quantile(seen.novelty, NOVELTY_QUANTILE)) or None
    return DecisionRule(limit, float(outside[first]) if first else 0.0, usual)


def _probabilities(seen: ValidationPredictions, hot: float) -> "np.ndarray":
    """p(AI) of the clean views, float64 [N]."""
    import numpy as np
    from scipy.special import expit

    return expit(seen.margins[0].astype(np.float64) / hot)


def _at_rate(human: "np.ndarray", rate: float) -> float:
    """The lowest threshold that at most `rate` of these probabilities reach, as models give them: float32."""
    import numpy as np

    strongest = np.sort(human)[::-1][int(rate * len(human))]
    return float(np.nextafter(np.float32(strongest), np.float32(np.inf)))


def summary(seen: ValidationPredictions, hot: float, rule: DecisionRule) -> dict[str, Any]:
    """What calibration found on the clean validation pictures, for the record."""
    import numpy as np

    p_ai = _probabilities(seen, hot)
    verdicts = rule.verdicts(p_ai, None if seen.novelty is None else seen.novelty[0])
    decided = verdicts != UNSURE
    right = verdicts == np.array(CLASSES)[seen.classes]
    called = rule.called(p_ai) == np.array(CLASSES)[seen.classes]
    low, high = rule.band()
    return {
        "pictures": len(seen.classes),
        "views": len(seen.margins),
        "temperature": hot,
        "threshold": rule.threshold,
        "unsure_from": low,
        "unsure_to": high,
        "novelty": rule.novelty,
        "val_accuracy": float(np.average(called, weights=seen.weights)),
        "val_unsure": float(1 - np.average(decided, weights=seen.weights)),
        "val_accuracy_decided": float(np.average(right[decided], weights=seen.weights[decided]))
        if decided.any()
        else None,
    }
