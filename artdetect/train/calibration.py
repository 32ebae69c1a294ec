"""Calibration: fits the temperature, which makes probabilities meaningful, and the decision rule for verdicts.

Both are fitted on pictures that the head making the predictions has not been trained on: validation pictures and, for
artnet, the training pictures of held-out folds. The temperature is also fitted on degraded views of them, because
pictures in use are degraded.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from artdetect.core.config_section import Section
from artdetect.model.decision import UNSURE, DecisionRule, threshold_distance
from artdetect.pictures.labels import AI, CLASSES, HUMAN

if TYPE_CHECKING:
    import numpy as np

MAX_TEMPERATURE, MIN_TEMPERATURE = 20.0, 0.05  # a fit beyond these means that validation is too small
NOVELTY_QUANTILE = 0.99  # share of validation views that count as like the training data

Share = Annotated[float, Field(gt=0, lt=1)]


class FalsePositiveRate(Section):
    """`threshold = {fpr = 0.01}`: predict AI for at most this share of human-made validation pictures."""

    fpr: Share


class Abstention(Section):
    """`abstain = {min_accuracy = 0.99, max_share = 0.1}`: required accuracy, and how many may be unsure."""

    min_accuracy: Share = 0.99
    max_share: Annotated[float, Field(ge=0, lt=1)] = 0.1


@dataclass(frozen=True)
class ValidationPredictions:
    """An uncalibrated model's predictions for V views of N pictures. View 0 is the clean one.

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


def fit_temperature(validation: ValidationPredictions) -> float:
    """The divisor of logits that minimises the log loss over all views (Guo et al. 2017)."""
    import numpy as np
    from scipy.optimize import minimize_scalar

    signed = np.where(validation.classes == AI, validation.logits, -validation.logits)
    weights = np.broadcast_to(validation.weights, signed.shape)

    def loss(log_temperature: float) -> float:
        return float(np.average(np.logaddexp(0, -signed / np.exp(log_temperature)), weights=weights))

    bounds = np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def fit_decision_rule(
    validation: ValidationPredictions, temperature: float, threshold: float | FalsePositiveRate, abstain: Abstention
) -> DecisionRule:
    """The decision rule, fitted on the clean views.

    The margin is the smallest one at which at least `abstain.min_accuracy` of the verdicts are right, by weight, while
    at most `abstain.max_share` of the pictures are unsure. If no such margin exists, it leaves as many pictures unsure
    as allowed.

    Args:
        validation: Predictions to fit on.
        temperature: The divisor of their logits.
        threshold: The p(AI) from which the prediction is AI, or the false positive rate that determines it.
        abstain: When to leave a picture unsure.
    """
    import numpy as np

    p_ai = _probabilities(validation, temperature)
    if not isinstance(threshold, float):
        threshold = _threshold_at(p_ai[validation.classes == HUMAN], threshold.fpr)
    right = DecisionRule(threshold).predicted(p_ai) == np.array(CLASSES)[validation.classes]
    distance = threshold_distance(p_ai, threshold)
    order = np.argsort(distance)
    sorted_distance, weights = distance[order], validation.weights[order]
    decided = np.cumsum(weights[::-1])[::-1]
    accuracy = np.cumsum((weights * right[order])[::-1])[::-1] / decided
    starts = np.flatnonzero(np.diff(sorted_distance, prepend=-1.0))  # equal distances are all unsure or all decided
    starts = starts[starts <= abstain.max_share * len(order)]
    accurate = starts[accuracy[starts] >= abstain.min_accuracy]
    first = int(accurate[0] if accurate.size else starts[-1])
    novelty = None
    if validation.novelty is not None:
        novelty = float(np.quantile(validation.novelty, NOVELTY_QUANTILE)) or None
    return DecisionRule(threshold, float(sorted_distance[first]) if first else 0.0, novelty)


def _probabilities(validation: ValidationPredictions, temperature: float) -> "np.ndarray":
    """p(AI) of the clean views, float64 [N]."""
    import numpy as np
    from scipy.special import expit

    return expit(validation.logits[0].astype(np.float64) / temperature)


def _threshold_at(p_human: "np.ndarray", rate: float) -> float:
    """The lowest float32 threshold that at most a share `rate` of the human-made pictures' p(AI) reach.

    Models give float32 probabilities.
    """
    import numpy as np

    highest_allowed = np.sort(p_human)[::-1][int(rate * len(p_human))]
    return float(np.nextafter(np.float32(highest_allowed), np.float32(np.inf)))


def summary(validation: ValidationPredictions, temperature: float, rule: DecisionRule) -> dict[str, Any]:
    """The result of calibration on the clean validation pictures, for metrics.json.

    Args:
        validation: The predictions that temperature and rule were fitted on.
        temperature: The divisor of their logits.
        rule: The decision rule.
    """
    import numpy as np

    p_ai = _probabilities(validation, temperature)
    verdicts = rule.verdicts(p_ai, None if validation.novelty is None else validation.novelty[0])
    decided = verdicts != UNSURE
    truth = np.array(CLASSES)[validation.classes]
    right = verdicts == truth
    weights = validation.weights
    low, high = rule.band()
    return {
        "pictures": len(validation.classes),
        "views": len(validation.logits),
        "temperature": temperature,
        "threshold": rule.threshold,
        "unsure_from": low,
        "unsure_to": high,
        "novelty": rule.novelty,
        "val_accuracy": float(np.average(rule.predicted(p_ai) == truth, weights=weights)),
        "val_unsure": float(1 - np.average(decided, weights=weights)),
        "val_accuracy_decided": float(np.average(right[decided], weights=weights[decided])) if decided.any() else None,
    }
