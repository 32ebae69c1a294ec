"""What an explanation needs of a model: its logits, and the gradient of the logit margin for the pixels.

Logits and not probabilities, because a softmax that is sure of itself has no gradient left to explain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from artdetect.errors import ModelError
from artdetect.labels import CLASSES

if TYPE_CHECKING:
    import keras


def logits(model: keras.Model) -> keras.Model:
    """A model with the input of `model` that gives its pre-softmax logits, float [N, 2].

    It shares the layers and the weights of `model`, which stays as it is.

    Args:
        model: Input [N, H, W, 3]; output [N, 2] of a `Dense(2, activation="softmax")` or of a softmax layer on logits.

    Raises:
        ModelError: `model` has another input, output or last layer.
    """
    import keras

    last, before = _last_layer(model)
    if isinstance(last, keras.layers.Softmax) or (
        isinstance(last, keras.layers.Activation) and last.activation is keras.activations.softmax
    ):
        return keras.Model(model.inputs[0], before, name=f"{model.name}_logits")
    if isinstance(last, keras.layers.Dense) and last.activation is keras.activations.softmax:
        return keras.Model(model.inputs[0], _without_activation(last)(before), name=f"{model.name}_logits")
    activation = getattr(getattr(last, "activation", None), "__name__", None)
    raise ModelError(
        f"model {model.name!r} cannot be explained: it must end in a softmax over {len(CLASSES)} classes. "
        f"Received: last layer {type(last).__name__}, activation={activation!r}"
    )


def _last_layer(model: keras.Model) -> tuple[keras.Layer, keras.KerasTensor]:
    """The layer that makes the output of `model`, and the tensor that goes into it."""
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"model {model.name!r} cannot be explained: it must be a built Sequential or functional model. "
            f"Received: {type(model).__name__} with {len(inputs)} inputs and {len(outputs)} outputs"
        )
    if len(inputs[0].shape) != 4 or inputs[0].shape[-1] != 3 or outputs[0].shape[1:] != (len(CLASSES),):
        raise ModelError(
            f"model {model.name!r} cannot be explained: it must take [N, H, W, 3] and give [N, {len(CLASSES)}]. "
            f"Received: {inputs[0].shape} to {outputs[0].shape}"
        )
    # `layer.input` would do, but raises for a layer that also stands in another model.
    history = outputs[0]._keras_history
    return history.operation, history.operation._inbound_nodes[history.node_index].input_tensors[0]


def _without_activation(dense: keras.layers.Dense) -> keras.Layer:
    """A layer that does what `dense` does but for its activation, with the same variables."""
    import keras

    class Linear(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(name=f"{dense.name}_linear", dtype=dense.dtype_policy)
            self.dense = dense

        def call(self, inputs):
            outputs = keras.ops.matmul(inputs, self.dense.kernel)
            return outputs if self.dense.bias is None else keras.ops.add(outputs, self.dense.bias)

    return Linear()


class Margin:
    """The logit margin of a class, its logit minus the other's, and its gradient for the pixels.

    Args:
        model: As `logits` takes it.
        batch_size: Pictures in one call of the model. Smaller batches are filled up, so that the gradient is
            compiled once for a size of picture, and its memory is bounded.
    """

    def __init__(self, model: keras.Model, batch_size: int):
        import tensorflow as tf

        network = logits(model)
        self.name = model.name
        self.input_shape = tuple(model.inputs[0].shape[1:])
        self.batch_size = batch_size

        @tf.function
        def values(images):
            return tf.cast(network(images, training=False), tf.float32)

        @tf.function
        def gradients(images, direction):
            with tf.GradientTape() as tape:
                tape.watch(images)
                margins = tf.linalg.matvec(values(images), direction)
            return tape.gradient(margins, images)

        self._values, self._gradients = values, gradients

    def logits(self, images: NDArray) -> NDArray[np.float32]:
        """float32 [N, 2] for `images`, float [N, H, W, 3] in [0, 1]. Raises ModelError where they are not finite."""
        return self._finite(self._values(np.asarray(images, np.float32)), "output")

    def gradients(self, images: NDArray, target: int) -> NDArray[np.float32]:
        """d(logit of `target` - logit of the other) / d(pixel), float32 [N, H, W, 3].

        Args:
            images: float [N, H, W, 3] in [0, 1]; at most `batch_size` of them.
            target: The class, 0 or 1.

        Raises:
            ModelError: A gradient is not finite.
        """
        filled = np.zeros((self.batch_size, *images.shape[1:]), np.float32)
        filled[: len(images)] = images
        direction = np.where(np.arange(len(CLASSES)) == target, 1, -1).astype(np.float32)
        return self._finite(self._gradients(filled, direction), "gradient")[: len(images)]

    def _finite(self, tensor, what: str) -> NDArray[np.float32]:
        array = tensor.numpy()
        if not np.isfinite(array).all():
            raise ModelError(
                f"model {self.name!r} cannot be explained: its {what} is not finite (NaN or infinite). "
                "Its training has probably diverged: train again with a lower learning rate, or take an earlier model"
            )
        return array
