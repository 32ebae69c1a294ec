"""What an explanation needs of a model: its logits, and one number computed from them, with its gradient."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from artdetect.core.errors import ModelError
from artdetect.explain.method_settings import Target
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import keras

BATCH_PIXELS = 2**20  # in one call of the model: larger batches only fall out of the processor's caches


def logits(model: keras.Model) -> keras.Model:
    """A model that takes what `model` takes and gives its pre-softmax logits, float [N, 2].

    It shares the layers and weights of `model`, which does not change.

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
    """The layer that makes the output of `model`, before bounds on it, and the tensor that goes into it."""
    import keras

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
    operation, tensor = history.operation, history.operation._inbound_nodes[history.node_index].input_tensors[0]
    if isinstance(operation, keras.layers.Rescaling):  # the bounds of calibrated probabilities
        history = tensor._keras_history
        return history.operation, history.operation._inbound_nodes[history.node_index].input_tensors[0]
    return operation, tensor


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


class ExplainedScore:
    """The number of a class that is explained, as a function of pictures.

    Args:
        model: The model, as `logits` takes it.
        target: "logit_margin", the class's logit minus the other's; "logit"; or "probability". A confident softmax has
            no gradient left to explain, so the margin is the default.
        batch_size: Pictures in one call of the model, at most; `BATCH_PIXELS` bounds it for large ones. Smaller batches
            are padded, so that each function is compiled once and its memory is bounded.

    Raises:
        ModelError: As `logits`.
    """

    def __init__(self, model: keras.Model, target: Target, batch_size: int):
        self.network = logits(model)
        self.name = model.name
        self.target = target
        self.input_shape = tuple(model.inputs[0].shape[1:])
        self.batch_size = min(batch_size, max_batch(self.input_shape, BATCH_PIXELS))

    def compute(self, images: Any, classes: Any) -> Any:
        """The score inside a TensorFlow graph: tensor float32 [N].

        Args:
            images: Tensor [N, H, W, 3] in [0, 1].
            classes: The class of each, one-hot float32 [N, 2].
        """
        import tensorflow as tf

        outputs = tf.cast(self.network(images, training=False), tf.float32)
        if self.target == "logit_margin":
            return tf.reduce_sum(outputs * (2 * classes - 1), axis=1)
        return tf.reduce_sum((outputs if self.target == "logit" else tf.nn.softmax(outputs)) * classes, axis=1)

    def logits(self, images: NDArray) -> NDArray[np.float32]:
        """The logits, float32 [N, 2], of `images`, float [N, H, W, 3] in [0, 1]; ModelError where not finite."""
        return self._batched(self._logits, images, "output")

    def values(self, images: NDArray, targets: NDArray[np.integer]) -> NDArray[np.float32]:
        """The score of class `targets[n]` for picture n, float32 [N]; ModelError where not finite."""
        return self._batched(self._values, images, "output", one_hot(targets))

    def gradients(self, images: NDArray, targets: NDArray[np.integer]) -> NDArray[np.float32]:
        """The gradient of the score by the pixels, float32 [N, H, W, 3]; ModelError where not finite."""
        return self._batched(self._gradients, images, "gradient", one_hot(targets))

    def require_finite(self, array: NDArray, what: str) -> NDArray:
        """Return `array`, `what` of the model; ModelError where it is not finite."""
        if not np.isfinite(array).all():
            raise ModelError(
                f"model {self.name!r} cannot be explained: its {what} is not finite (NaN or infinite). "
                "Its training has probably diverged: train again with a lower learning rate, or take an earlier model"
            )
        return array

    def _batched(self, function: Any, images: NDArray, what: str, *others: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(images), self.batch_size):
            rows = slice(start, start + self.batch_size)
            padded = [_padded(array[rows], self.batch_size) for array in (images, *others)]
            results = function(*padded).numpy()[: len(images[rows])]  # those of the padding may be NaN
            parts.append(self.require_finite(results, what))
        return np.concatenate(parts)

    @cached_property
    def _logits(self) -> Any:
        import tensorflow as tf

        return tf.function(lambda images: tf.cast(self.network(images, training=False), tf.float32), autograph=False)

    @cached_property
    def _values(self) -> Any:
        import tensorflow as tf

        return tf.function(self.compute, autograph=False)

    @cached_property
    def _gradients(self) -> Any:
        import tensorflow as tf

        @tf.function(autograph=False)
        def gradients(images, classes):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(images)
                score = self.compute(images, classes)
            return tape.gradient(score, images)

        return gradients


def max_batch(shape: tuple[int | None, ...], pixels: int) -> int:
    """How many pictures [H, W, C] have at most `pixels` in all, 1 to 64. A side that is open counts as 256."""
    height, width = (side or 256 for side in shape[:2])
    return max(1, min(64, pixels // (height * width)))


def one_hot(targets: NDArray[np.integer]) -> NDArray[np.float32]:
    """float32 [N, 2] for classes [N], as `ExplainedScore.compute` takes them."""
    return np.eye(len(CLASSES), dtype=np.float32)[targets]


def _padded(array: NDArray, rows: int) -> NDArray[np.float32]:
    """`array` as float32, padded with zeros to `rows`."""
    padded = np.zeros((rows, *array.shape[1:]), np.float32)
    padded[: len(array)] = array
    return padded
