"""adapt: fit a model to pictures of one's own, in seconds and without the pictures that it was trained on.

The head is refitted to the new pictures with the old ones as a prior, and so are the temperature of its probabilities
and its novelty limit. Threshold, bounds of p(AI) and unsure band stay: they come from sources that no head knew, and
own pictures say nothing about those.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.adapt.pictures import FOLDS, OwnPictures, is_ai, own_pictures
from artdetect.adapt.posterior import Posterior
from artdetect.artifacts import file_names, store
from artdetect.artifacts.store import Artifact
from artdetect.core import digests
from artdetect.core.errors import ModelError
from artdetect.core.progress import Count
from artdetect.model import choice
from artdetect.model.artnet_model import LOGITS
from artdetect.model.detector import MODEL_FILE, Detector
from artdetect.model.probabilities import TEMPERATURE, Calibration
from artdetect.pictures import picture_views
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.stats.verdict_measures import verdict_measures

if TYPE_CHECKING:
    import numpy as np

# How many old pictures a new one counts as, chosen on left-out sources by benchmarks/adaptation.py. With human-made
# pictures alone, a larger weight makes the model forget what AI looks like.
WEIGHT, WEIGHT_OF_ONE_CLASS = 30.0, 10.0
TEMPERATURE_EVIDENCE = 25.0  # nats per squared change of log temperature: about fifty pictures move it noticeably
NOVELTY_QUANTILE = 0.99
CHUNK = 64  # pictures in memory at a time
SEED = 129
BASE, PRECISION = "base", "precision"

__all__ = ["OwnPictures", "adapt", "own_pictures", "publish"]


class Adapted:
    """A model before and after it was adapted.

    Args:
        base: The model before.
        detector: The model after.
        posterior: Of the model after, so that it can be adapted again.
        metrics: How both judge the own pictures, each picture by a head that was adapted without it.
    """

    def __init__(self, base: Detector, detector: Detector, posterior: Posterior, metrics: Mapping[str, Any]):
        self.base, self.detector, self.posterior, self.metrics = base, detector, posterior, metrics


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

    prior = _posterior(base, model_path)
    x, novelty = _embeddings(base, own, progress)
    truth = np.array(is_ai(own))
    weight = WEIGHT if truth.any() and not truth.all() else WEIGHT_OF_ONE_CLASS
    folds = np.array(own.folds())
    after = np.empty(len(x))
    for fold in range(FOLDS):
        inside = folds == fold
        if inside.any():
            after[inside] = prior.updated(x[~inside], truth[~inside], weight).margins(x[inside])
    posterior = prior.updated(x, truth, weight)
    old = _calibration(base)
    new = _recalibrated(old, after, truth)
    limit = base.rule.novelty
    if limit is not None:
        limit = max(limit, float(np.quantile(novelty, NOVELTY_QUANTILE)))
    rule = replace(base.rule, novelty=limit)
    detector = _with_head(base, model_path, posterior, new, rule, len(x))
    metrics = {
        "adapted": {
            "pictures": {label: len(own.of(label)) for label in CLASSES},
            "before": _judged(base.rule, old(prior.margins(x)), novelty, truth),
            "after": _judged(rule, new(after), novelty, truth),
            "cost_on_old_pictures": prior.cost(posterior),
            "base": base.id,
        },
        "parameters": detector.model.count_params(),
    }
    return Adapted(base, detector, posterior, metrics)


def publish(adapted: Adapted, base_digest: str, own: OwnPictures) -> Artifact:
    """Publish the adapted model as an artifact of stage train.

    Args:
        adapted: The model.
        base_digest: The digest of the artifact, or of the file, that it was adapted from.
        own: The pictures that it was adapted to.
    """
    import numpy as np
    from filelock import FileLock

    parts = {
        "config": {"preset": adapted.detector.preset, "adapted_to": [picture.sha256 for picture in own.pictures]},
        "code": digests.code_digests(__name__),
        "packages": digests.versions(("keras", "numpy", "pillow", "scipy", "tensorflow")),
        "inputs": {BASE: base_digest},
    }
    key = digests.value_digest({"stage": "train", **parts})[:16]
    with FileLock(store.lock_file("train", key)):
        if found := store.find("train", key):
            return found
        with store.build("train", key, parts) as out:
            adapted.detector.save(out / MODEL_FILE)
            posterior = adapted.posterior
            np.savez(
                out / file_names.PRECISION,
                precision=posterior.precision.astype(np.float32),
                pictures=posterior.pictures,
            )
            (out / file_names.METRICS).write_text(json.dumps(adapted.metrics, indent=1))
    return store.load("train", key)


def _posterior(base: Detector, path: Path) -> Posterior:
    """The posterior of a model's head."""
    import numpy as np

    from artdetect.model import head_file

    arrays: Mapping[str, Any] = {}
    if path.is_dir() and (path / file_names.PRECISION).is_file():
        with np.load(path / file_names.PRECISION) as stored:
            arrays = dict(stored)
    elif path.is_file() and head_file.is_head_file(path):
        arrays = head_file.extra_arrays(path)
    if PRECISION not in arrays or not base.frozen:
        raise ModelError(
            f"{path}: it cannot be adapted. Only an artnet model with a linear head can, by its artifact folder or as "
            "the starter, if this version trained it"
        )
    kernel, bias = base.model.get_layer(LOGITS).get_weights()
    margin = np.concatenate([kernel, bias[None]]).astype(np.float64)
    precision = arrays[PRECISION].astype(np.float64)
    precision = (precision + precision.T) / 2
    precision[-1, -1] += 1e-6  # the intercept has no penalty; this keeps the matrix invertible
    return Posterior(margin[:, AI] - margin[:, HUMAN], precision, int(arrays["pictures"]))


def _embeddings(base: Detector, own: OwnPictures, progress: Count | None) -> "tuple[np.ndarray, np.ndarray]":
    """Embeddings float64 [n, K] and novelty scores [n] of the pictures."""
    import numpy as np

    embeddings: list[np.ndarray] = []
    novelty: list[np.ndarray] = []
    for start in range(0, len(own.pictures), CHUNK):
        part = own.pictures[start : start + CHUNK]
        scores = base.scores_of(
            [picture_views.load(picture.path, base.geometry, base.native_crops, picture.sha256) for picture in part]
        )
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


def _with_head(
    base: Detector, path: Path, posterior: Posterior, calibration: Calibration, rule: Any, pictures: int
) -> Detector:
    """A copy of the model with another head, temperature and rule."""
    import numpy as np

    fresh = Detector.load(path)
    half = (posterior.coefficients / 2).astype(np.float32)
    kernel = np.zeros((len(half), len(CLASSES)), np.float32)
    kernel[:, AI], kernel[:, HUMAN] = half, -half
    fresh.model.get_layer(LOGITS).set_weights([kernel[:-1], kernel[-1]])
    fresh.model.get_layer(TEMPERATURE).scale = 1 / calibration.temperature
    metadata = {
        **{name: value for name, value in base.metadata.items() if name not in choice.STARTER_ENTRIES},
        "temperature": calibration.temperature,
        "adapted": {"from": base.id, "pictures": pictures},
    }
    return replace(fresh, metadata=metadata, rule=rule, digest="")


def _judged(rule: Any, p_ai: "np.ndarray", novelty: "np.ndarray", truth: "np.ndarray") -> dict[str, Any]:
    """What became of own pictures: verdict_measures where both classes are there, and counts by class."""
    import numpy as np

    verdicts = rule.verdicts(p_ai, rule.reasons(p_ai, novelty))
    rows = {
        label: {
            "pictures": int(side.sum()),
            "predicted_ai": int((rule.predicted(p_ai[side]) == CLASSES[AI]).sum()),
            **{verdict: int((verdicts[side] == verdict).sum()) for verdict in (*CLASSES, "unsure")},
        }
        for label, side in ((CLASSES[AI], truth), (CLASSES[HUMAN], ~truth))
    }
    result: dict[str, Any] = {"by_class": rows}
    if truth.any() and not truth.all():
        called = (verdicts == CLASSES[AI]).astype(int) - (verdicts == CLASSES[HUMAN])
        result |= verdict_measures(truth, p_ai, called, np.ones(len(truth)), np.arange(len(truth)), SEED)
    return result
