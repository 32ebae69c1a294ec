"""Assembles one Keras model, without custom layers, from the parts that training fitted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from artdetect.model import backbones, frozen_backbone
from artdetect.model.extractor import Extractor
from artdetect.model.probabilities import Calibration, probabilities
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

BACKBONE, EMBEDDING, LOGITS, FAMILIES = "features", "embedding", "logits", "families"  # names of layers
HIDDEN = "_hidden"  # and of a head's hidden layers: its name, this, and a number
CORNER = 0.875  # side of the corner crops that are averaged, as a share of the picture's side


@dataclass(frozen=True)
class Embedding:
    """Projection of standardised features onto their first principal components, whitened: (x - mean) @ matrix."""

    mean: "Floats"  # [D]
    matrix: "Floats"  # [D, K]

    def __call__(self, features: "Floats") -> "Floats":
        """Features [N, D] -> embeddings [N, K]."""
        return (features - self.mean) @ self.matrix


@dataclass(frozen=True)
class Head:
    """Dense layers from an embedding to logits, each (kernel, bias), with ReLU between them."""

    layers: "tuple[tuple[Floats, Floats], ...]"

    def __call__(self, x: "Floats") -> "Floats":
        """Embeddings [N, K] -> logits [N, C]."""
        for number, (kernel, bias) in enumerate(self.layers):
            x = (np.maximum(x, 0) if number else x) @ kernel + bias
        return x


class TrainedParts(Protocol):
    """What training adds to the frozen backbone."""

    @property
    def embedding(self) -> Embedding:
        """From features to embeddings."""

    @property
    def head(self) -> Head:
        """From embeddings to the logits of the classes."""

    @property
    def family_head(self) -> Head | None:
        """From embeddings to the logits of the generator families, where there are at least two."""

    @property
    def novelty_scale(self) -> float:
        """Mean square of the training pictures' embeddings."""


def assemble(
    extractor: Extractor, fitted: TrainedParts, calibration: Calibration, test_time_views: int
) -> "keras.Model":
    """artnet: pictures float32 [N, S, S, 3] in [0, 1] -> the dict of outputs that `Detector` documents.

    Args:
        extractor: How features are extracted.
        fitted: Embedding and heads.
        calibration: How logits become probabilities.
        test_time_views: Views whose features are averaged: 1 is the picture; 2 adds its mirror image; 6 also adds its
            four corners at their own scale.
    """
    import keras
    from keras import layers, ops

    keras.utils.clear_session(free_memory=False)  # restarts the numbers in automatic names, so they are reproducible
    size = extractor.geometry.size
    net = extractor.build()
    picture = keras.Input((size, size, 3), name="picture")
    views = [picture]
    if test_time_views >= 2:
        views.append(ops.flip(picture, axis=2))
    if test_time_views >= 6:
        near, far = slice(0, round(CORNER * size)), slice(size - round(CORNER * size), size)
        views += [picture[:, rows, columns] for rows in (near, far) for columns in (near, far)]
    features = layers.Average(name="average")([net(view) for view in views]) if len(views) > 1 else net(picture)
    features = layers.Identity(name=frozen_backbone.LAYER)(features)

    embedded = add_embedding(fitted.embedding, features)
    logits = add_head(fitted.head, embedded, layers.Dense(len(CLASSES), name=LOGITS), f"{LOGITS}{HIDDEN}")
    outputs = {
        "probabilities": probabilities(logits, calibration),
        "novelty": ops.mean(ops.square(embedded), axis=-1, keepdims=True) / fitted.novelty_scale,
        "embedding": embedded,
    }
    if fitted.family_head:
        last = layers.Dense(len(fitted.family_head.layers[-1][1]), name=FAMILIES)
        families = add_head(fitted.family_head, embedded, last, f"{FAMILIES}{HIDDEN}")
        outputs["generators"] = layers.Softmax(name="generators")(families)
    return keras.Model(picture, outputs, name="artnet")


def description(extractor: Extractor, fitted: TrainedParts, test_time_views: int) -> dict[str, Any]:
    """What `assemble` needs besides weights, calibration and the card's geometry, as an entry `net` of the card."""
    return {
        "net": {
            "backbone": extractor.backbone,
            "weights": backbones.identity(extractor.backbone, extractor.weights)["weights"],
            "feature_blocks": list(extractor.blocks),
            "test_time_views": test_time_views,
            "novelty_scale": fitted.novelty_scale,
        }
    }


def add_embedding(embedding: Embedding, features: "keras.KerasTensor", dtype: str | None = None) -> "keras.KerasTensor":
    """Features [N, D] -> embeddings [N, K].

    Args:
        embedding: Gives the weights.
        features: The features.
        dtype: The layer's dtype, by default that of the current policy.
    """
    from keras import layers

    layer = layers.Dense(embedding.matrix.shape[1], dtype=dtype, name=EMBEDDING)
    return _apply(layer, features, embedding.matrix, -embedding.mean @ embedding.matrix)


def add_head(
    head: Head, x: "keras.KerasTensor", last: "keras.layers.Dense", hidden: str, dtype: str | None = None
) -> "keras.KerasTensor":
    """Embeddings [N, K] -> the output of the head's last layer.

    Args:
        head: Gives the weights.
        x: The embeddings.
        last: The last layer, without weights yet.
        hidden: Prefix of the names of the hidden layers.
        dtype: The dtype of the hidden layers, by default that of the current policy.
    """
    from keras import layers

    *before, weights = head.layers
    for number, (kernel, bias) in enumerate(before):
        x = _apply(layers.Dense(len(bias), "relu", dtype=dtype, name=f"{hidden}{number}"), x, kernel, bias)
    return _apply(last, x, *weights)


def _apply(
    layer: "keras.layers.Dense", x: "keras.KerasTensor", kernel: np.ndarray, bias: np.ndarray
) -> "keras.KerasTensor":
    """The layer's output for `x`, with these weights."""
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y
