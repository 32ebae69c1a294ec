"""One Keras model from the parts that training found, without custom layers."""

from typing import TYPE_CHECKING

import numpy as np

from artdetect.model import frozen_backbone
from artdetect.model.feature_cache import Extractor
from artdetect.pictures.labels import CLASSES
from artdetect.train.heads import Embedding, FittedHead, Head

if TYPE_CHECKING:
    import keras


CORNER = 0.875  # side of the corner crops that are averaged, as a share of the picture's


def assemble(extractor: Extractor, fitted: "FittedHead", temperature: float, average: int) -> "keras.Model":
    """artnet: pictures float32 [N, S, S, 3] in [0, 1] -> the dict of outputs that `Detector` documents.

    `average` views of a picture are looked at, and their features averaged: 1, the picture; 2, also mirrored; 6, also
    its four corners at their own scale.
    """
    import keras
    from keras import layers, ops

    keras.utils.clear_session(free_memory=False)  # names of what has none are counted: always the same ones
    size = extractor.geometry.size
    net = extractor.build()
    picture = keras.Input((size, size, 3), name="picture")
    seen = [picture]
    if average >= 2:
        seen.append(ops.flip(picture, axis=2))
    if average >= 6:
        near, far = slice(0, round(CORNER * size)), slice(size - round(CORNER * size), size)
        seen += [picture[:, rows, columns] for rows in (near, far) for columns in (near, far)]
    features = layers.Average(name="average")([net(view) for view in seen]) if len(seen) > 1 else net(picture)
    features = layers.Identity(name=frozen_backbone.LAYER)(features)

    embedded = add_embedding(fitted.embedding, features)
    logits = add_head(fitted.head, embedded, layers.Dense(len(CLASSES), name="logits"), "logits_hidden")
    calibrated = layers.Rescaling(1 / temperature, name="temperature")(logits)
    outputs = {
        "probabilities": layers.Softmax(name="probabilities", dtype="float32")(calibrated),
        "novelty": ops.mean(ops.square(embedded), axis=-1, keepdims=True) / fitted.spread,
        "embedding": embedded,
    }
    if fitted.family_head:
        last = layers.Dense(len(fitted.families), name="families")
        families = add_head(fitted.family_head, embedded, last, "families_hidden")
        outputs["generators"] = layers.Softmax(name="generators")(families)
    return keras.Model(picture, outputs, name="artnet")


def add_embedding(embedding: Embedding, features: "keras.KerasTensor", dtype: str | None = None) -> "keras.KerasTensor":
    """Features [N, D] -> embeddings [N, K]."""
    from keras import layers

    layer = layers.Dense(embedding.matrix.shape[1], dtype=dtype, name="embedding")
    return _with(layer, features, embedding.matrix, -embedding.mean @ embedding.matrix)


def add_head(
    head: Head, x: "keras.KerasTensor", last: "keras.layers.Dense", hidden: str, dtype: str | None = None
) -> "keras.KerasTensor":
    """Embeddings [N, K] -> what `last` makes of them, with the head's weights; `hidden` names the layers before it."""
    from keras import layers

    *before, weights = head.layers
    for number, (kernel, bias) in enumerate(before):
        x = _with(layers.Dense(len(bias), "relu", dtype=dtype, name=f"{hidden}{number}"), x, kernel, bias)
    return _with(last, x, *weights)


def _with(
    layer: "keras.layers.Dense", x: "keras.KerasTensor", kernel: np.ndarray, bias: np.ndarray
) -> "keras.KerasTensor":
    """What the layer, with these weights, makes of `x`."""
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y
