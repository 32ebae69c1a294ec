"""What adapting reads from a model's artifact or file, and the artifact of the model that comes out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artdetect.adapt.pictures import OwnPictures
from artdetect.adapt.posterior import Posterior
from artdetect.artifacts import file_names, leakage, lineage, store
from artdetect.artifacts.store import Artifact
from artdetect.core import digests
from artdetect.core.errors import ModelError
from artdetect.model import head_file
from artdetect.model.artnet_model import LOGITS
from artdetect.model.detector import Detector

PRECISION = "precision"
PACKAGES = ("keras", "numpy", "onnx", "onnxruntime", "pillow", "scipy", "tensorflow", "tf2onnx")


@dataclass(frozen=True)
class Adapted:
    """An adapted model.

    Args:
        detector: The model. It has no digest yet.
        posterior: That of its head, so that it can be adapted again.
        metrics: Entry `adapted`: how the model before and this one judge the own pictures, each by a head, temperature
            and novelty limit that were fitted without its fold; cost_on_old_pictures, see `Posterior.cost`; pictures;
            base, the id of the model before. Entry `parameters`.
    """

    detector: Detector
    posterior: Posterior
    metrics: Mapping[str, Any]


def posterior_of(base: Detector, path: Path) -> Posterior:
    """The posterior of a model's head.

    Args:
        base: The model.
        path: Its artifact folder, or its head file.

    Raises:
        ModelError: There is none.
    """
    import numpy as np

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
    return Posterior.of_head(kernel, bias, arrays[PRECISION], int(arrays["pictures"].item()))


def publish(adapted: Adapted, base: Path, own: OwnPictures) -> Artifact:
    """Publish the adapted model as an artifact of stage train.

    Args:
        adapted: The model.
        base: The artifact folder or the file that it was adapted from.
        own: The pictures that it was adapted to.
    """
    import numpy as np
    from filelock import FileLock

    pictures = [
        {"sha256": picture.sha256, "label": picture.label, "series": picture.series} for picture in own.pictures
    ]
    parts = {
        "config": {"preset": adapted.detector.preset, "adapted_to": digests.value_digest(pictures)},
        "code": digests.code_digests("artdetect.adapt"),
        "packages": digests.versions(PACKAGES),
        "inputs": {lineage.BASE: _digest(base)},
    }
    key = digests.value_digest({"stage": "train", **parts})[:16]
    with FileLock(store.lock_file("train", key)):
        if found := store.find("train", key):
            return found
        with store.build("train", key, parts) as out:
            adapted.detector.write(out)
            posterior = adapted.posterior
            np.savez(
                out / file_names.PRECISION,
                precision=posterior.precision.astype(np.float32),
                pictures=posterior.pictures,
            )
            known = leakage.write_trained_on(base, (picture.sha256 for picture in own.pictures), out)
            metrics = {**adapted.metrics, file_names.ANCESTORS_KNOWN: known}
            (out / file_names.METRICS).write_text(json.dumps(metrics, indent=1))
            (out / file_names.ADAPTED_TO).write_text(json.dumps([*_adapted_to(base), *pictures], indent=1))
    return store.load("train", key)


def _adapted_to(base: Path) -> list[dict[str, str]]:
    """The own pictures that a model was adapted to before."""
    file = base / file_names.ADAPTED_TO
    return json.loads(file.read_text()) if file.is_file() else []


def _digest(base: Path) -> str:
    """The digest of an artifact's outputs, or else of a model file."""
    if (base / file_names.RECORD).is_file():
        return store.read(base).digest
    return digests.file_digest(base / file_names.MODEL if base.is_dir() else base)
