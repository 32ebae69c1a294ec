"""`train.initial_weights`: the presets trained by gradient descent can start from the weights of an existing model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import paths
from artdetect.core.errors import ModelError
from artdetect.model.detector import Detector
from artdetect.pictures.images import Geometry
from artdetect.train.presets import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np

    from artdetect.train.config import TrainConfig

RENAMED = {"logits": "probabilities"}  # the last layer with weights: its name in a calibrated net -> while training


@dataclass(frozen=True)
class InitialWeights:
    """The weights that a training starts from.

    Args:
        key: Key of the train artifact they come from.
        geometry: The geometry of that model's pictures.
        weights: The weights of each layer, by the layer's name while training.
    """

    key: str
    geometry: Geometry
    weights: "Mapping[str, list[np.ndarray]]"


def folder_of(key: str) -> Path:
    """The artifact folder of the model that `train.initial_weights` names."""
    return paths.artifacts() / "train" / key


def load_initial_weights(config: "TrainConfig") -> InitialWeights | None:
    """The weights that `config.initial_weights` names, or None if it is left out.

    Raises:
        ModelError: There is no model with this key, it cannot be read, or it has another preset.
    """
    key = config.initial_weights
    if key is None:
        return None
    folder = folder_of(key)
    if not folder.is_dir():
        raise ModelError(f"train.initial_weights = {key!r}: no such model. `artdetect models` lists the models")
    detector = Detector.load(folder)
    if detector.preset != config.preset:
        raise ModelError(
            f"train.initial_weights = {key!r}: this is a {detector.preset} model. Expected a {config.preset} model"
        )
    layers = (layer for layer in detector.model.layers if layer.weights)
    weights = {RENAMED.get(layer.name, layer.name): layer.get_weights() for layer in layers}
    return InitialWeights(key, detector.geometry, weights)


def with_initial_weights(recipe: Recipe, initial: InitialWeights | None) -> Recipe:
    """The recipe with a net that starts from these weights, or the recipe itself if there are none.

    Raises:
        ModelError: The weights belong to a model of another geometry. If its layers differ, the error is raised when
            the net is built.
    """
    if initial is None:
        return recipe
    if initial.geometry != recipe.geometry:
        raise ModelError(
            f"train.initial_weights = {initial.key!r}: its pictures have {initial.geometry}, those of this training "
            f"{recipe.geometry}. Choose the same train.size"
        )
    return replace(recipe, build=lambda: _build_with(recipe.build, initial))


def _build_with(build: "Callable[[], keras.Model]", initial: InitialWeights) -> "keras.Model":
    model = build()
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    expected = {name: [tuple(weight.shape) for weight in layer.weights] for name, layer in layers.items()}
    received = {name: [weight.shape for weight in weights] for name, weights in initial.weights.items()}
    if expected != received:
        names = sorted(name for name in {*expected, *received} if expected.get(name) != received.get(name))
        raise ModelError(
            f"train.initial_weights = {initial.key!r}: its net differs from this training's in {', '.join(names[:5])}"
        )
    for name, layer in layers.items():
        layer.set_weights(initial.weights[name])
    return model
