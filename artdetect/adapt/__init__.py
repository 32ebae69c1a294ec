"""adapt: fit a model to pictures of one's own, in seconds and without the pictures that it was trained on.

The head is refitted to the new pictures with the old ones as a prior, and so are the temperature of its probabilities
and its novelty limit. Threshold, bounds of p(AI) and unsure band stay: they come from sources that no head knew, and
own pictures say nothing about those.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.adapt import artifact
from artdetect.adapt.artifact import Adapted, publish
from artdetect.adapt.pictures import OwnPictures, is_ai, own_pictures
from artdetect.adapt.posterior import Posterior
from artdetect.core.errors import DataError, PictureError
from artdetect.core.progress import Count
from artdetect.model import choice
from artdetect.model.artnet_model import LOGITS
from artdetect.model.decision import UNSURE, DecisionRule
from artdetect.model.detector import Detector
from artdetect.model.keras_runtime import KerasRuntime
from artdetect.model.probabilities import TEMPERATURE, Calibration
from artdetect.pictures import picture_views
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.stats.verdict_measures import verdict_measures
from artdetect.train.calibration import NOVELTY_QUANTILE

if TYPE_CHECKING:
    import numpy as np

# How many old pictures a new one counts as, chosen on left-out sources by benchmarks/adaptation.py. With human-made
# pictures alone, a larger weight makes the model forget what AI looks like.
WEIGHT, WEIGHT_OF_ONE_CLASS = 30.0, 10.0
TEMPERATURE_EVIDENCE = 25.0  # nats per squared change of log temperature: about fifty pictures move it noticeably
CHUNK = 64  # pictures in memory at a time
SEED = 129

__all__ = ["Adapted", "OwnPictures", "adapt", "own_pictures", "publish"]


def adapt(base: Detector, model_path: Path, own: OwnPictures, progress: Count | None = None) -> Adapted:
    """Adapt a model to own pictures.

    Args:
        base: The model. It is not changed.
        model_path: Its artifact folder or file, which holds the posterior of its head.
        own: The pictures.
        progress: Called with (done, all) while they pass through the network.

    Raises:
        ModelError: The model has no posterior: it is no artnet with a linear head, or was trained by an older version.
        DataError: A picture was changed or removed meanwhile.
    """
    import numpy as np

    prior = artifact.posterior_of(base, model_path)
    x, novelty = _embeddings(base, own, progress)
    truth = np.array(is_ai(own))
    weight = WEIGHT if truth.any() and not truth.all() else WEIGHT_OF_ONE_CLASS
    folds = np.array(own.folds())
    margins = np.empty(len(x))
    for inside in _each(folds):
        margins[inside] = prior.updated(x[~inside], truth[~inside], weight).margins(x[inside])
    posterior = prior.updated(x, truth, weight)
    old = _calibration(base)
    new, rule = _recalibrated(old, margins, truth), _widened(base.rule, novelty)
    p_before, p_after = old(prior.margins(x)), np.empty(len(x))
    verdicts = np.empty(len(x), object)
    for inside in _each(folds):
        p_after[inside] = _recalibrated(old, margins[~inside], truth[~inside])(margins[inside])
        verdicts[inside] = _verdicts(_widened(base.rule, novelty[~inside]), p_after[inside], novelty[inside])
    clusters = np.array(own.clusters())
    metrics = {
        "adapted": {
            "pictures": {label: len(own.of(label)) for label in CLASSES},
            "before": _judged(base.rule, p_before, _verdicts(base.rule, p_before, novelty), truth, clusters),
            "after": _judged(base.rule, p_after, verdicts, truth, clusters),
            "cost_on_old_pictures": prior.cost(posterior),
            "base": base.id,
        },
        "parameters": base.model.count_params(),
    }
    return Adapted(_with_head(base, model_path, posterior, new, rule, own), posterior, metrics)


def _each(folds: "np.ndarray") -> "list[np.ndarray]":
    """For each fold, which pictures are in it: bool [n]."""
    return [folds == fold for fold in sorted(set(folds))]


def _embeddings(base: Detector, own: OwnPictures, progress: Count | None) -> "tuple[np.ndarray, np.ndarray]":
    """Embeddings float64 [n, K] and novelty scores [n] of the pictures."""
    import numpy as np

    embeddings: list[np.ndarray] = []
    novelty: list[np.ndarray] = []
    for start in range(0, len(own.pictures), CHUNK):
        part = own.pictures[start : start + CHUNK]
        views = []
        for picture in part:
            try:
                views.append(picture_views.load(picture.path, base.geometry, base.native_crops, picture.sha256))
            except (DataError, PictureError):
                raise DataError(f"{picture.path} was changed or removed meanwhile. Run the command again") from None
        scores = base.scores_of(views)
        assert scores.embedding is not None  # artnet has both
        assert scores.novelty is not None
        embeddings.append(scores.embedding)
        novelty.append(scores.novelty)
        if progress:
            progress(start + len(part), len(own.pictures))
    return np.concatenate(embeddings), np.concatenate(novelty)


def _calibration(base: Detector) -> Calibration:
    return Calibration(*(float(base.metadata[name]) for name in ("temperature", "p_min", "p_max")))


def _recalibrated(old: Calibration, margins: "np.ndarray", truth: "np.ndarray") -> Calibration:
    """The calibration with the temperature that fits own pictures and what was known before."""
    import numpy as np
    from scipy.optimize import minimize_scalar

    from artdetect.stats.log_loss import log_losses

    if len(set(truth)) < len(CLASSES):  # of one class alone, nothing can be learnt about probabilities
        return old

    def loss(log_change: float) -> float:
        p_ai = replace(old, temperature=old.temperature * float(np.exp(log_change)))(margins)
        losses = log_losses(truth, p_ai)
        own = (losses[truth].mean() + losses[~truth].mean()) / 2 * len(truth)
        return float(own + TEMPERATURE_EVIDENCE * log_change**2)

    change = minimize_scalar(loss, bounds=(-2, 2), method="bounded").x
    return replace(old, temperature=old.temperature * float(np.exp(change)))


def _widened(rule: DecisionRule, novelty: "np.ndarray") -> DecisionRule:
    """The rule with a novelty limit that own pictures with these novelty scores [n] pass, or the old one if higher."""
    import numpy as np

    if rule.novelty is None:
        return rule
    return replace(rule, novelty=max(rule.novelty, float(np.quantile(novelty, NOVELTY_QUANTILE))))


def _with_head(
    base: Detector, path: Path, posterior: Posterior, calibration: Calibration, rule: DecisionRule, own: OwnPictures
) -> Detector:
    """A copy of the model with another head, temperature and rule."""
    model = Detector.load(path).model
    model.get_layer(LOGITS).set_weights(posterior.head())
    model.get_layer(TEMPERATURE).scale = 1 / calibration.temperature
    metadata = {
        **{name: value for name, value in base.metadata.items() if name not in choice.STARTER_ENTRIES},
        "temperature": calibration.temperature,
        "adapted": {"from": base.id, "pictures": len(own.pictures)},
    }
    return replace(base, runtime=KerasRuntime(model, base.geometry.size), metadata=metadata, rule=rule, digest="")


def _verdicts(rule: DecisionRule, p_ai: "np.ndarray", novelty: "np.ndarray") -> "np.ndarray":
    return rule.verdicts(p_ai, rule.reasons(p_ai, novelty))


def _judged(
    rule: DecisionRule, p_ai: "np.ndarray", verdicts: "np.ndarray", truth: "np.ndarray", clusters: "np.ndarray"
) -> dict[str, Any]:
    """What became of own pictures: verdict_measures where both classes are there, and counts by class."""
    import numpy as np

    rows: Mapping[str, Any] = {
        label: {
            "pictures": int(side.sum()),
            "predicted_ai": int((rule.predicted(p_ai[side]) == CLASSES[AI]).sum()),
            **{verdict: int((verdicts[side] == verdict).sum()) for verdict in (*CLASSES, UNSURE)},
        }
        for label, side in ((CLASSES[AI], truth), (CLASSES[HUMAN], ~truth))
    }
    result: dict[str, Any] = {"by_class": rows}
    if truth.any() and not truth.all():
        result |= verdict_measures(truth, p_ai, verdicts, np.ones(len(truth)), clusters, SEED)
    return result
