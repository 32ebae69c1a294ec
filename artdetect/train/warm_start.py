"""`train.start`: the presets that are trained by steps begin with the weights of a model that there is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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

RENAMED = {"logits": "probabilities"}  # a calibrated net's last layer with weights, as a net that trains calls it


@dataclass(frozen=True)
class InitialWeights:
    """The model that a training begins with."""

    key: str
    geometry: Geometry
    weights: "Mapping[str, list[np.ndarray]]"  # by layer, as the net that trains has them


def load_initial_weights(config: "TrainConfig") -> InitialWeights | None:
    """What `config.start` names; None where it is left out.

    Raises:
        ModelError: there is no model with this key, it cannot be read, or it is of another preset.
    """
    if config.start is None:
        return None
    folder = paths.artifacts() / "train" / config.start
    if not folder.is_dir():
        raise ModelError(f"train.start = {config.start!r}: there is no such model. `artdetect models` lists them")
    detector = Detector.load(folder)
    if detector.preset != config.preset:
        raise ModelError(f"train.start = {config.start!r}: a {detector.preset} model cannot begin a {config.preset}")
    layers = (layer for layer in detector.model.layers if layer.weights)
    weights = {RENAMED.get(layer.name, layer.name): layer.get_weights() for layer in layers}
    return InitialWeights(config.start, detector.geometry, weights)


def with_initial_weights(recipe: Recipe, start: InitialWeights | None) -> Recipe:
    """The recipe, whose net begins with these weights where there are any.

    ModelError where they are of a net for other pictures; when it is built, where its layers are others.
    """
    if start is None:
        return recipe
    if start.geometry != recipe.geometry:
        raise ModelError(
            f"train.start = {start.key!r}: it looks at pictures of {start.geometry}, this training at "
            f"{recipe.geometry}. Choose the same train.size"
        )
    return replace(recipe, build=lambda: _with(recipe.build, start))


def _with(build: "Callable[[], keras.Model]", start: InitialWeights) -> "keras.Model":
    model = build()
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    needed = {name: [tuple(weight.shape) for weight in layer.weights] for name, layer in layers.items()}
    given = {name: [weight.shape for weight in weights] for name, weights in start.weights.items()}
    if needed != given:
        names = sorted(name for name in {*needed, *given} if needed.get(name) != given.get(name))
        raise ModelError(
            f"train.start = {start.key!r}: its net is another than this training's: {', '.join(names[:5])}"
        )
    for name, layer in layers.items():
        layer.set_weights(start.weights[name])
    return model
