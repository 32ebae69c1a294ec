"""A vision transformer of plain Keras layers, made from the layers of another implementation.

ViT, DINOv2, CLIP and SigLIP share this net: patches become tokens, which pass through pre-norm blocks (Dosovitskiy et
al. 2020, arXiv 2010.11929). Being made of plain layers, a model that contains it loads without that implementation.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import keras
    import numpy as np

Activation = Literal["gelu", "gelu_approximate", "quick_gelu", "swiglu"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


@dataclass(frozen=True)
class Block:
    """The layers of one block, with their weights. Dense layers apply no activation, whatever their own is.

    Args:
        norm1: Normalisation before attention.
        attention: Self-attention, a `MultiHeadAttention` without mask.
        norm2: Normalisation before the MLP.
        dense1: First dense layer of the MLP. For "swiglu" its first half of units gates the second.
        dense2: Second dense layer of the MLP.
        scales: What multiplies the results of attention and MLP (layer scale), [C] each; None stands for 1.
    """

    norm1: "keras.Layer"
    attention: "keras.Layer"
    norm2: "keras.Layer"
    dense1: "keras.Layer"
    dense2: "keras.Layer"
    scales: "tuple[np.ndarray, np.ndarray] | None" = None


@dataclass(frozen=True)
class Encoder:
    """A vision transformer, as `build` takes it.

    Args:
        side: Side of its pictures, in pixels.
        kernel: Linear map of a patch to a token, [p, p, 3, C].
        added: What is added to the tokens, [T, C]: bias and positions. Rows before those of the patches are whole
            tokens, which no picture changes: the class token first, then registers.
        blocks: The blocks, in order.
        norm: Normalisation after the last block.
        activation: Activation of the MLPs.
        norm0: Normalisation before the first block, if there is one.
    """

    side: int
    kernel: "np.ndarray"
    added: "np.ndarray"
    blocks: Sequence[Block]
    norm: "keras.Layer"
    activation: Activation
    norm0: "keras.Layer | None" = None


def build(encoder: Encoder, scale: Sequence[float], offset: Sequence[float], name: str) -> "keras.Model":
    """The net: pictures float32 [N, side, side, 3] in [0, 1] -> its last activations.

    The layers `stem`, `block1`, `block2`, … give the patches' tokens as [N, h, w, C]; `top` gives the normalised ones.
    `class` gives the normalised class token as [N, 1, 1, C], where there is one. They are the outputs.

    Args:
        encoder: The transformer.
        scale: What each channel of the pixels is multiplied by.
        offset: What is then added to it.
        name: Name of the net.
    """
    import keras
    import numpy as np
    from keras import layers, ops

    patch, width = encoder.kernel.shape[0], encoder.kernel.shape[-1]
    rows = encoder.side // patch
    before = len(encoder.added) - rows**2  # tokens before those of the patches
    copies: list[tuple[keras.Layer, list[np.ndarray]]] = []

    def norm(source: "keras.Layer", name: str) -> "keras.Layer":
        """The same normalisation in the current precision."""
        config = {key: value for key, value in source.get_config().items() if key != "dtype"}
        copies.append((layer := type(source).from_config(config | {"name": name}), source.get_weights()))
        return layer

    def dense(weights: "list[np.ndarray]", name: str, scale: "np.ndarray | None" = None) -> "keras.Layer":
        """A dense layer of kernel and, maybe, bias; its output is multiplied by `scale`."""
        layer = layers.Dense(weights[0].shape[-1], use_bias=len(weights) > 1, name=name)
        copies.append((layer, weights if scale is None else [weight * scale for weight in weights]))
        return layer

    def attention(x: "keras.KerasTensor", source: "keras.Layer", scale: "np.ndarray | None", name: str) -> Any:
        """Self-attention of plain layers, since Keras reloads a frozen `MultiHeadAttention` as a trainable one."""
        parts = source.get_weights()  # kernel and, maybe, bias of query, key, value [C, heads, C / heads], and output
        step = len(parts) // 4
        heads = parts[0].shape[1]
        inner = [np.concatenate([part.reshape(*part.shape[:-2], -1) for part in parts[one : 3 * step : step]], axis=-1)
                 for one in range(step)]  # fmt: skip
        x = layers.Reshape((len(encoder.added), 3, heads, -1), name=f"{name}_heads")(dense(inner, f"{name}_qkv")(x))
        query, key, value = ops.unstack(layers.Permute((2, 3, 1, 4), name=f"{name}_by_head")(x), 3, axis=1)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / math.sqrt(query.shape[-1])
        mixed = layers.Permute((2, 1, 3), name=f"{name}_by_token")(ops.matmul(ops.softmax(scores), value))
        mixed = layers.Reshape((len(encoder.added), -1), name=f"{name}_mixed")(mixed)
        outer = [parts[3 * step].reshape(-1, width), *parts[3 * step + 1 :]]
        return dense(outer, f"{name}_output", scale)(mixed)

    def grid(tokens: "keras.KerasTensor", name: str) -> "keras.KerasTensor":
        """The patches' tokens as [N, h, w, C]."""
        patches = layers.Cropping1D((before, 0), name=f"{name}_patches")(tokens) if before else tokens
        return layers.Reshape((rows, rows, width), name=name)(patches)

    def through_grid(tokens: "keras.KerasTensor", name: str) -> "keras.KerasTensor":
        """The same tokens, computed from their grid, so that its gradient is that of all later layers."""
        patches = layers.Reshape((rows**2, width), name=f"{name}_flat")(grid(tokens, name))
        if not before:
            return patches
        others = layers.Cropping1D((0, rows**2), name=f"{name}_others")(tokens)
        return layers.Concatenate(axis=1, name=f"{name}_tokens")([others, patches])

    picture = keras.Input((encoder.side, encoder.side, 3), name="picture")
    x = layers.Rescaling(list(scale), offset=list(offset), name="scale")(picture)
    if rest := encoder.side % patch:
        x = layers.Cropping2D(((0, rest), (0, rest)), name="whole_patches")(x)
    x = layers.Reshape((rows, patch, rows, patch * 3), name="rows")(x)
    x = layers.Reshape((rows**2, patch * patch * 3), name="patches")(layers.Permute((1, 3, 2, 4), name="columns")(x))
    if before:
        x = layers.ZeroPadding1D((before, 0), name="other_tokens")(x)
    embed = layers.EinsumDense("ntp,pc->ntc", (len(encoder.added), width), bias_axes="tc", name="tokens")
    copies.append((embed, [encoder.kernel.reshape(-1, width), encoder.added]))
    x = embed(x)
    if encoder.norm0 is not None:
        x = norm(encoder.norm0, "norm0")(x)
    x = through_grid(x, "stem")
    for number, block in enumerate(encoder.blocks, 1):
        prefix = f"block{number}"
        scale1, scale2 = block.scales or (None, None)
        y = attention(norm(block.norm1, f"{prefix}_norm1")(x), block.attention, scale1, f"{prefix}_attention")
        x = layers.Add(name=f"{prefix}_attended")([x, y])
        y = dense(block.dense1.get_weights(), f"{prefix}_dense1")(norm(block.norm2, f"{prefix}_norm2")(x))
        y = dense(block.dense2.get_weights(), f"{prefix}_dense2", scale2)(_ACTIVATIONS[encoder.activation](y))
        x = through_grid(layers.Add(name=f"{prefix}_added")([x, y]), prefix)
    x = norm(encoder.norm, "norm")(x)
    outputs = [grid(x, "top")]
    if before:
        first = layers.Cropping1D((0, len(encoder.added) - 1), name="first_token")(x)
        outputs.append(layers.Reshape((1, 1, width), name="class")(first))
    net = keras.Model(picture, outputs, name=name)
    for layer, weights in copies:
        layer.set_weights(weights)
    return net


def _gelu(x: "keras.KerasTensor") -> "keras.KerasTensor":
    """GELU by the error function; that of Keras uses its complement, which ONNX lacks."""
    from keras import ops

    return x * (0.5 * ops.erf(x * math.sqrt(0.5)) + 0.5)


def _gelu_approximate(x: "keras.KerasTensor") -> "keras.KerasTensor":
    from keras import ops

    return ops.gelu(x, approximate=True)


def _quick_gelu(x: "keras.KerasTensor") -> "keras.KerasTensor":
    from keras import ops

    return x * ops.sigmoid(1.702 * x)


def _swiglu(x: "keras.KerasTensor") -> "keras.KerasTensor":
    """Source: Shazeer 2020, arXiv 2002.05202."""
    from keras import ops

    gate, value = ops.split(x, 2, axis=-1)
    return ops.silu(gate) * value


_ACTIVATIONS: "dict[Activation, Callable[[keras.KerasTensor], keras.KerasTensor]]" = {
    "gelu": _gelu,
    "gelu_approximate": _gelu_approximate,
    "quick_gelu": _quick_gelu,
    "swiglu": _swiglu,
}
