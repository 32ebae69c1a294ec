"""The frozen backbone: the part of a model that training does not change.

Its features of a picture are the same in every model that shares it, so they can be cached.
"""

import hashlib
import json
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING

import numpy as np

from artdetect.model.compiled import CompiledModel, outputs_of
from artdetect.model.reproducible_keras import without_object_ids
from artdetect.pictures import images

if TYPE_CHECKING:
    import keras

LAYER = "frozen"  # name of the frozen part's last layer


class FrozenBackbone:
    """A model split in two: pictures -> features (the backbone), and features -> outputs (the head).

    Args:
        model: A model with a layer named `LAYER`.
        size: Side of its canonical pictures, in pixels.
    """

    def __init__(self, model: "keras.Model", size: int):
        import keras

        features = model.get_layer(LAYER).output
        self._backbone = keras.Model(model.inputs[0], features, name=LAYER)
        self._head = keras.Model(features, model.output)
        self._size = size

    @property
    def width(self) -> int:
        """Number of features of a picture, D."""
        return int(self._backbone.output_shape[-1])

    @cached_property
    def id(self) -> str:
        """A digest of all that determines the features: architecture, weights, picture size."""
        digest = hashlib.sha256(without_object_ids(self._backbone.to_json().encode()))
        digest.update(json.dumps(self._size).encode())
        for weight in self._backbone.get_weights():
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()[:16]

    @cached_property
    def features(self) -> CompiledModel:
        """Canonical pictures, uint8 [n, size, size, 3] -> features float32 [n, D]."""
        shape = (self._size, self._size, 3)
        return CompiledModel(partial(self._backbone, training=False), shape, images.to_input)

    @cached_property
    def head(self) -> CompiledModel:
        """Features, float32 [n, D] -> the model's outputs by name."""
        return CompiledModel(partial(outputs_of, self._head), (self.width,), np.asarray)


def with_crops(whole: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """The features of large pictures: the mean of the whole's features and of the mean of the crops' features.

    Args:
        whole: The features of the wholes, float32 [..., D].
        crops: The features of k native crops of each, float32 [..., k, D].
    """
    total = reduce(np.add, np.moveaxis(crops, -2, 0))  # one order of adding for any number of pictures
    return (whole + total / np.float32(crops.shape[-2])) / np.float32(2)
