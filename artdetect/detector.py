"""A trained model with everything needed to apply it, in one file.

The file is a `.keras` archive with one more member, `artdetect.json`: preset, geometry, classes and where it came from.
The same model always gives the same bytes, so that a retraining to equal weights wakes nothing.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import digests, images, labels, quiet
from artdetect.errors import ModelError, storage_error
from artdetect.images import Geometry

if TYPE_CHECKING:
    import keras
    import numpy as np

MODEL_FILE = "model.keras"
_CARD = "artdetect.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's own first moment: no clock in the bytes
BATCH_PIXELS = 16 * 224 * 224  # pixels per forward pass: bounds memory, and what a single picture costs


@dataclass(frozen=True)
class Detector:
    """A Keras model [N, size, size, 3] in [0, 1] -> probabilities [N, 2], class 0 = AI, and what its use needs."""

    model: "keras.Model"
    preset: str
    geometry: Geometry
    about: Mapping[str, Any]  # seed, data digest, …: for people and records
    digest: str = ""  # sha256 of the model file, once there is one

    @property
    def id(self) -> str:
        """What verdicts name the model by."""
        return model_id(self.preset, self.digest)

    def p_ai(self, pixels: "np.ndarray") -> "np.ndarray":
        """The probability of AI, float64 [N], of canonical pictures uint8 [N, size, size, 3]."""
        import numpy as np

        batch = self._batch
        result = np.empty(len(pixels))
        for start in range(0, len(pixels), batch):
            part = pixels[start : start + batch]
            padded = np.zeros((batch, *part.shape[1:]), np.uint8)  # one static shape: compiled once
            padded[: len(part)] = part
            result[start : start + batch] = self._forward(images.to_input(padded)).numpy()[: len(part), labels.AI]
        if not np.isfinite(result).all():
            raise ModelError(
                f"model {self.id}: its probabilities are not finite: its weights are damaged. Train it again"
            )
        return result

    @property
    def _batch(self) -> int:
        return max(1, min(256, BATCH_PIXELS // self.geometry.size**2))

    @cached_property
    def _forward(self) -> Callable[..., Any]:
        import tensorflow as tf

        shape = (self._batch, self.geometry.size, self.geometry.size, 3)
        return tf.function(lambda x: self.model(x, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)])

    def verdict(self, p_ai: float) -> str:
        """ "AI" or "human"."""
        return labels.CLASSES[labels.AI if p_ai >= 0.5 else labels.HUMAN]

    def save(self, path: Path) -> None:
        """Write the model file; deterministic bytes."""
        buffer = io.BytesIO()
        self.model.save(scratch := path.with_name("scratch.keras"))
        card = {"preset": self.preset, "geometry": asdict(self.geometry), "classes": labels.CLASSES, **self.about}
        with zipfile.ZipFile(scratch) as source, zipfile.ZipFile(buffer, "w") as target:
            members = {name: source.read(name) for name in source.namelist()}
            members["metadata.json"] = _without_date(members["metadata.json"])
            members["config.json"] = _without_addresses(members["config.json"])
            members[_CARD] = json.dumps(card, indent=1).encode()
            for name in sorted(members):
                target.writestr(zipfile.ZipInfo(name, _EPOCH), members[name])
        scratch.unlink()
        path.write_bytes(buffer.getvalue())

    @staticmethod
    def load(path: Path) -> "Detector":
        """The detector in a model file or artifact folder; ModelError if there is none or it is not one of ours."""
        path = path / MODEL_FILE if path.is_dir() else path
        if not path.is_file():
            raise ModelError(
                f"{path}: there is no such model. Train one with `artdetect run`, or name another with --model"
            )
        card = read_card(path)
        geometry = Geometry(**card.pop("geometry"))
        quiet.load_tensorflow()
        import keras

        try:
            model = keras.models.load_model(path, compile=False, safe_mode=True)
            output = tuple(model.compute_output_shape((1, geometry.size, geometry.size, 3)))
        except Exception as error:  # whatever Keras raises on a damaged or foreign file
            if isinstance(error, OSError) and (known := storage_error(error)):  # it unpacks weights to a temporary file
                raise known from error
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise ModelError(f"{path}: Keras cannot load it ({reason})") from error
        if output != (1, len(labels.CLASSES)):
            raise ModelError(f"{path}: its net gives {output} for one picture, expected {(1, len(labels.CLASSES))}")
        return Detector(model, card["preset"], geometry, card, digests.of_file(path))


def model_id(preset: str, digest: str) -> str:
    """A model's short name, from its preset and its file's sha256."""
    return f"{preset}-{digest[:8]}"


def read_card(path: Path) -> dict[str, Any]:
    """What a model file says of itself, without TensorFlow; ModelError if it is not one of ours."""
    try:
        with zipfile.ZipFile(path) as archive:
            card = json.loads(archive.read(_CARD))
        Geometry(**card["geometry"])
        if not isinstance(card["preset"], str):
            raise TypeError("preset")
    except Exception as error:  # a foreign or damaged zip fails in more ways than zipfile documents
        raise ModelError(
            f"{path}: this is not a model file of artdetect. Expected a .keras file that `artdetect run` made"
        ) from error
    if card.get("classes") != list(labels.CLASSES):
        raise ModelError(f"{path}: its classes are {card.get('classes')}, expected {list(labels.CLASSES)}")
    return card


def _without_date(metadata: bytes) -> bytes:
    return json.dumps({name: value for name, value in json.loads(metadata).items() if name != "date_saved"}).encode()


def _without_addresses(config: bytes) -> bytes:
    """Keras marks objects that layers share by their address in memory; here by the order in which they appear."""
    seen: dict[int, int] = {}

    def numbered(values: dict[str, Any]) -> dict[str, Any]:
        if "shared_object_id" in values:
            values["shared_object_id"] = seen.setdefault(values["shared_object_id"], len(seen))
        return values

    return json.dumps(json.loads(config, object_hook=numbered)).encode()
