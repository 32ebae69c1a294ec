"""Loads the Keras model in a model file: a `.keras` file, or a head file together with the installed backbone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core.errors import ModelError, storage_error
from artdetect.model import head_file, tensorflow_setup
from artdetect.model.probabilities import Calibration
from artdetect.pictures.images import Geometry
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import keras
    import numpy as np

    from artdetect.model.artnet_model import Embedding, Head


@dataclass(frozen=True)
class HeadParts:
    """`artnet_model.TrainedParts`, from a file."""

    embedding: "Embedding"
    head: "Head"
    family_head: "Head | None"
    novelty_scale: float


def load(file: Path, card: Mapping[str, Any]) -> "keras.Model":
    """The Keras model in a model file.

    Args:
        file: The file.
        card: Its card.

    Raises:
        ModelError: The file is damaged, its model does not give the probabilities of two classes, or the installed
            backbone is not the one that a head was trained on.
    """
    tensorflow_setup.load_tensorflow()
    import keras

    try:
        if head_file.is_head_file(file):
            model = assembled(head_file.head_arrays(file), card)
            if backbone_digest(model) != card["net"]["backbone_sha256"]:
                raise head_file.other_backbone(file, card)
        else:
            model = keras.models.load_model(file, compile=False, safe_mode=True)
        output = _shape_of_probabilities(model, card["geometry"]["size"])
    except ModelError:
        raise
    except Exception as error:  # whatever Keras raises on a damaged or foreign file
        if isinstance(error, OSError) and (known := storage_error(error)):  # Keras unpacks weights to a temporary file
            raise known from error
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"{file}: Keras cannot load it ({reason})") from error
    if output != (1, len(CLASSES)):
        raise ModelError(f"{file}: its output for one picture has shape {output}, expected {(1, len(CLASSES))}")
    return model


def assembled(arrays: "Mapping[str, np.ndarray]", card: Mapping[str, Any]) -> "keras.Model":
    """The whole model: the installed backbone, and on it the head with these arrays.

    Args:
        arrays: See `head_file.head_arrays`.
        card: The card of the model.
    """
    import numpy as np

    from artdetect.model.artnet_model import EMBEDDING, FAMILIES, LOGITS, Embedding, assemble
    from artdetect.model.extractor import Extractor

    net, matrix = card["net"], arrays[f"{EMBEDDING}.kernel"]
    families = _head(arrays, FAMILIES) if f"{FAMILIES}.kernel" in arrays else None
    parts = HeadParts(
        Embedding(np.zeros(len(matrix), np.float32), matrix), _head(arrays, LOGITS), families, net["novelty_scale"]
    )
    extractor = Extractor(net["backbone"], tuple(net["feature_blocks"]), Geometry(**card["geometry"]))
    calibration = Calibration(card["temperature"], card["p_min"], card["p_max"])
    model = assemble(extractor, parts, calibration, net["test_time_views"])
    model.get_layer(EMBEDDING).set_weights([matrix, arrays[f"{EMBEDDING}.bias"]])
    return model


def backbone_digest(model: "keras.Model") -> str:
    """The sha256 of the weights of an artnet model's backbone."""
    from artdetect.model.artnet_model import BACKBONE

    return head_file.digest(*model.get_layer(BACKBONE).get_weights())


def _head(arrays: "Mapping[str, np.ndarray]", name: str) -> "Head":
    """The head whose last layer has this name."""
    from artdetect.model.artnet_model import HIDDEN, Head

    hidden = f"{name}{HIDDEN}"
    count = sum(array.startswith(hidden) and array.endswith(".kernel") for array in arrays)
    layers = [*(f"{hidden}{number}" for number in range(count)), name]
    return Head(tuple((arrays[f"{layer}.kernel"], arrays[f"{layer}.bias"]) for layer in layers))


def _shape_of_probabilities(model: "keras.Model", size: int) -> tuple[int, ...]:
    shapes = model.compute_output_shape((1, size, size, 3))
    return tuple(shapes["probabilities"] if isinstance(shapes, dict) else shapes)
