"""Runs a Keras model with TensorFlow: for models in memory, and for model files without ONNX graphs."""

import json
from collections.abc import Mapping
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.model import evidence_graph, keras_model_file
from artdetect.model.compiled import CompiledModel, outputs_of
from artdetect.model.evidence import EvidenceNet
from artdetect.model.frozen_backbone import LAYER, FrozenBackbone
from artdetect.model.parts import Parts
from artdetect.pictures import images

if TYPE_CHECKING:
    import keras
    import numpy as np


class KerasRuntime:
    """See `artdetect.model.runtime.Runtime`.

    Args:
        model: Maps pictures float32 [N, size, size, 3] in [0, 1] to the probabilities [N, 2], or to a dict of outputs.
        size: Side of its pictures, in pixels.
        file: The model file and its card as JSON, if there is one. With it, the runtime can be sent to other processes.
    """

    name = "tensorflow"
    packages: tuple[str, ...] = ("keras", "tensorflow")

    def __init__(self, model: "keras.Model", size: int, file: tuple[Path, str] | None = None):
        self.keras_model = model
        self._size = size
        self._file = file

    def __call__(self, pixels: "np.ndarray") -> "dict[str, np.ndarray]":
        """The model's outputs by name for canonical pictures uint8 [n, size, size, 3]."""
        return self._compiled(pixels)

    @cached_property
    def outputs(self) -> Mapping[str, int]:
        """Name and width of each output."""
        outputs = getattr(self.keras_model, "output", None)  # a loaded Sequential has none
        if isinstance(outputs, dict):
            return {name: int(output.shape[-1]) for name, output in outputs.items()}
        shape = self.keras_model.compute_output_shape((1, self._size, self._size, 3))
        return {"probabilities": int(shape[-1])}

    @cached_property
    def frozen(self) -> FrozenBackbone | None:
        """The part that training does not change, where the model has one."""
        names = [layer.name for layer in self.keras_model.layers]
        return FrozenBackbone(self.keras_model, self._size) if LAYER in names else None

    @cached_property
    def _compiled(self) -> CompiledModel:
        return CompiledModel(partial(outputs_of, self.keras_model), (self._size, self._size, 3), images.to_input)

    def evidence_net(self, parts: Parts | None) -> EvidenceNet:
        """The model that gives its evidence with its verdict."""
        return evidence_graph.evidence_net(self.keras_model, self._size, parts)

    def __reduce__(self) -> Any:
        if self._file is None:
            raise TypeError("a Keras model in memory cannot be sent to another process: save and load it first")
        return _opened, self._file


@lru_cache(maxsize=2)
def _opened(file: Path, card: str) -> "KerasRuntime":
    """The runtime of a file, in another process."""
    return load(file, json.loads(card))


def load(file: Path, card: Mapping[str, Any]) -> KerasRuntime:
    """The runtime of a model file; arguments and errors as for `keras_model_file.load`."""
    return KerasRuntime(keras_model_file.load(file, card), card["geometry"]["size"], (file, json.dumps(card)))
