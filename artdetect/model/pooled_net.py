"""A net read as activations, their pooled statistics, and a head of dense layers on these.

It is read from the graph of a model, so it holds for every preset and backbone that is built like this, and for models
of earlier versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.pictures.labels import AI, HUMAN

if TYPE_CHECKING:
    import keras

Layers = Sequence[tuple[np.ndarray, np.ndarray]]
_MEANS, _DEVIATIONS = ("Mean", "GlobalAveragePooling2D"), ("Sqrt",)
_TRANSPARENT = ("Identity", "Dropout", "Average", "Softmax", "Activation")  # of several views, the first is followed


@dataclass(frozen=True)
class PooledBlock:
    """Activations whose statistics over space are features.

    Args:
        activations: [N, h, w, C].
        deviation: Whether the standard deviations [N, C] follow the means [N, C] in the features.
    """

    activations: "keras.KerasTensor"
    deviation: bool


@dataclass(frozen=True)
class PooledNet:
    """A model that judges a picture by pooled statistics of activations.

    Args:
        picture: The backbone's input, [N, S, S, 3].
        features: The statistics, [N, D].
        blocks: Where they come from, in their order.
        layers: The head: kernel and bias of each dense layer, with ReLU between them, linear ones merged. The last has
            one output, the margin: the logit of AI minus that of human, divided by the temperature.
        judged: The features as the model's graph has them, from which all its outputs follow; None where it averages
            those of several views.
    """

    picture: "keras.KerasTensor"
    features: "keras.KerasTensor"
    blocks: tuple[PooledBlock, ...]
    layers: Layers
    judged: "keras.KerasTensor | None"

    @staticmethod
    def of(model: "keras.Model") -> "PooledNet | None":
        """The model's parts; None if it is built in another way. Of several test-time views, it is about the first.

        Args:
            model: A model, whose only output, or whose output `probabilities`, is a softmax over two classes.
        """
        named = getattr(model, "output", None)  # a loaded Sequential has none
        tensor = named["probabilities"] if isinstance(named, dict) else model.outputs[0]
        dense: list[tuple[Any, Any, bool]] = []  # kernel, bias, whether a ReLU follows; the last layer first
        scale = 1.0
        net, judged, averaged = model, None, False
        while True:
            operation, inputs = _origin(tensor)
            kind = type(operation).__name__
            averaged |= kind == "Average"
            if kind == "Functional":
                judged, net, tensor = tensor, operation, operation.output
                continue
            if kind == "Rescaling":
                scale *= 1.0 if np.ndim(operation.offset) else float(operation.scale)  # bounds have an offset per class
            elif kind == "Dense":
                activation = operation.activation.__name__
                if activation not in ("linear", "relu", "softmax"):
                    return None
                kernel = np.asarray(operation.kernel, np.float64)
                bias = np.zeros(kernel.shape[1]) if operation.bias is None else np.asarray(operation.bias, np.float64)
                dense.append((kernel, bias, activation == "relu"))
            elif kind not in _TRANSPARENT:
                break  # the features
            tensor = inputs[0]
        blocks = blocks_behind(tensor)
        if not dense or not blocks:
            return None
        judged = None if averaged else tensor if judged is None else judged
        return PooledNet(net.inputs[0], tensor, blocks, _merged(dense, scale), judged)


def _origin(tensor: "keras.KerasTensor") -> tuple[Any, list[Any]]:
    """The operation that makes a tensor, and what goes into it."""
    history = tensor._keras_history
    return history.operation, history.operation._inbound_nodes[history.node_index].input_tensors


def blocks_behind(features: "keras.KerasTensor") -> tuple[PooledBlock, ...]:
    """The activations behind features; none if these are no pooled statistics."""
    operation, inputs = _origin(features)
    found: list[PooledBlock] = []
    for part in inputs if type(operation).__name__ == "Concatenate" else [features]:
        pooling, sources = _origin(part)
        kind = type(pooling).__name__
        if kind in _MEANS and len(sources[0].shape) == 4:
            found.append(PooledBlock(sources[0], False))
        elif kind in _DEVIATIONS and found and not found[-1].deviation:
            found[-1] = PooledBlock(found[-1].activations, True)
        else:
            return ()
    return tuple(found)


def _merged(dense: list[tuple[Any, Any, bool]], scale: float) -> Layers:
    """The layers in the order of their use, those without a ReLU between them as one."""
    kernel, bias, _ = dense[0]
    merged = [((kernel[:, [AI]] - kernel[:, [HUMAN]]) * scale, (bias[[AI]] - bias[[HUMAN]]) * scale)]
    for kernel, bias, relu in dense[1:]:
        if relu:
            merged.insert(0, (kernel, bias))
        else:
            after, after_bias = merged[0]
            merged[0] = (kernel @ after, bias @ after + after_bias)
    return [(kernel.astype(np.float32), bias.astype(np.float32)) for kernel, bias in merged]


def after_first(layers: Layers, x: Any) -> Any:
    """The margin [..., 1] from what the head's first layer gives, [..., K]."""
    from keras import ops

    for kernel, bias in layers[1:]:
        x = ops.matmul(ops.relu(x), kernel) + bias
    return x


def gradient(layers: Layers, features: Any) -> Any:
    """The gradient of the margin by the features [N, D]: [N, D]."""
    from keras import ops

    active, x = [], features
    for kernel, bias in layers[:-1]:
        x = ops.relu(ops.matmul(x, kernel) + bias)
        active.append(ops.cast(x > 0, "float32"))
    found: Any = layers[-1][0].T  # [1, K]
    for (kernel, _), mask in zip(layers[-2::-1], active[::-1], strict=True):
        found = ops.matmul(mask * found, kernel.T)
    return ops.zeros_like(features) + found
