"""Backbones: pretrained nets whose activations are the features.

A backbone takes pictures float32 [N, H, W, 3] in [0, 1]. Its own scaling of pixels is part of the net.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import digests
from artdetect.core.errors import ConfigError

if TYPE_CHECKING:
    import keras

DEFAULT = "efficientnet-lite0"
DEFAULT_WEIGHTS = "imagenet"


def load(name: str, weights: str = DEFAULT_WEIGHTS, size: int | None = None) -> "keras.Model":
    """The net up to its last activations.

    Args:
        name: "efficientnet-lite0" or "efficientnet-lite2", which work offline, a model of `keras.applications`, or
            "hub:" and an image encoder of keras-hub, see `hub.load`.
        weights: "imagenet". For a model of `keras.applications` also a file that Keras's `load_weights` reads.
        size: Side of the pictures, where it is known. Encoders of keras-hub are built for one.

    Raises:
        ConfigError: There is no such net, or it does not take pictures of this size.
        ModelError: Its weights are not installed, cannot be downloaded, or do not fit.
    """
    from artdetect.model.backbones import applications, efficientnet_lite, hub

    if name.startswith(hub.PREFIX):
        return hub.load(name, weights, size)
    if name not in efficientnet_lite.VARIANTS:
        return applications.load(name, weights)
    if weights != DEFAULT_WEIGHTS:
        raise ConfigError(f"{name} comes with its ImageNet weights: leave train.weights out. Received: {weights!r}")
    return efficientnet_lite.load(name)


def identity(name: str, weights: str) -> dict[str, str]:
    """What identifies a net in a cache key: its `backbone` and `weights`, files and folders by their content.

    Raises:
        ConfigError: An encoder of keras-hub, without keras-hub or its folder.
    """
    from artdetect.model.backbones import hub

    if name.startswith(hub.PREFIX):
        return hub.identity(name)
    path = Path(weights).expanduser()
    return {"backbone": name, "weights": digests.file_digest(path) if path.is_file() else weights}


def block_outputs(model: "keras.Model") -> "dict[str, keras.KerasTensor]":
    """The activations that features can be taken from, [N, h, w, C] each, by name, in the net's order.

    They are `stem`, `block0`, … and `top` in a net with layers of these names, and `class`, [N, 1, 1, C], where it has
    a class token. In others they are `stride2`, `stride4`, …: for each resolution, a half, a quarter, … of the
    picture's side, the last activation that no path bypasses.
    """
    blocks = {
        layer.name: layer.output
        for layer in model.layers
        if layer.name in ("stem", "top", "class") or (layer.name.startswith("block") and layer.name[5:].isdigit())
    }
    return blocks or _last_of_each_resolution(model)


def _last_of_each_resolution(model: "keras.Model") -> "dict[str, keras.KerasTensor]":
    import keras

    operations = model.operations
    side = model.input.shape[1] or 256
    every = keras.Model(model.input, [operation.output for operation in operations])
    shapes = every.compute_output_shape((1, side, side, 3))
    last_use = {
        id(x): number for number, operation in enumerate(operations) for x in keras.tree.flatten(operation.input)
    }
    outputs, open_until = {}, 0
    for number, (operation, shape) in enumerate(zip(operations, shapes, strict=True)):
        is_pixels, is_padding = shape[-1] == 3, isinstance(operation, keras.layers.ZeroPadding2D)
        if open_until <= number and len(shape) == 4 and not is_pixels and not is_padding:
            outputs[f"stride{2 ** round(math.log2(side / shape[1]))}"] = operation.output
        open_until = max(open_until, last_use.get(id(operation.output), 0))
    return outputs
