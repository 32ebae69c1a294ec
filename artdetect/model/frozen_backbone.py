"""The part of a model that no training changes: its features of a picture are the same in all models that have it."""

import hashlib
import json
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from artdetect.model.compiled import CompiledModel, outputs_of
from artdetect.model.reproducible_keras import without_object_ids
from artdetect.pictures import images

if TYPE_CHECKING:
    import keras

LAYER = "frozen"  # the name of the layer that the part ends with


class FrozenBackbone:
    """A model in two: canonical pictures of `size` -> features -> outputs."""

    def __init__(self, model: "keras.Model", size: int):
        import keras

        features = model.get_layer(LAYER).output
        self._backbone = keras.Model(model.inputs[0], features, name=LAYER)
        self._head = keras.Model(features, model.output)
        self._size = size

    @property
    def width(self) -> int:
        """How many features a picture has, D."""
        return int(self._backbone.output_shape[-1])

    @cached_property
    def id(self) -> str:
        """Whatever may give a picture other features has another one: architecture, weights, size."""
        digest = hashlib.sha256(without_object_ids(self._backbone.to_json().encode()))
        digest.update(json.dumps(self._size).encode())
        for weight in self._backbone.get_weights():
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()[:16]

    @cached_property
    def features(self) -> CompiledModel:
        """Canonical pictures, uint8 [n, size, size, 3] -> float32 [n, D]."""
        shape = (self._size, self._size, 3)
        return CompiledModel(partial(self._backbone, training=False), shape, images.to_input)

    @cached_property
    def judge(self) -> CompiledModel:
        """Features of pictures, float32 [n, D] -> the model's outputs by name."""
        return CompiledModel(partial(outputs_of, self._head), (self.width,), np.asarray)
