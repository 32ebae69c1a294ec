"""A model's answers: by name, and compiled for batches of one size."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect import images

if TYPE_CHECKING:
    import keras


def outputs_of(model: "keras.Model", pictures: Any) -> dict[str, Any]:
    """The model's outputs by name: `probabilities` where it has just one."""
    outputs = model(pictures, training=False)
    return outputs if isinstance(outputs, dict) else {"probabilities": outputs}


class Forward:
    """A function of pictures float32 [batch, size, size, 3] in [0, 1], compiled once and called with up to `batch`.

    Threads may call it at once and take turns, as two calls at once have crashed TensorFlow; it has threads of its own.
    """

    def __init__(self, function: Callable[[Any], Any], batch: int, size: int):
        import tensorflow as tf

        self._kept = function  # what is compiled only borrows its weights
        self._nothing = np.zeros((batch, size, size, 3), np.uint8)
        shape = tf.TensorSpec(self._nothing.shape, tf.float32)
        self._compiled = tf.function(function).get_concrete_function(shape)
        self._turn = threading.Lock()

    def __call__(self, pictures: np.ndarray) -> Any:
        """The outputs for uint8 [n, size, size, 3] as arrays; bit for bit, whatever else is in a batch."""
        import tensorflow as tf

        filled = np.concatenate([pictures, self._nothing[len(pictures) :]])
        seen = images.to_input(filled)
        with self._turn:
            outputs = self._compiled(tf.constant(seen))
            return tf.nest.map_structure(lambda output: output.numpy()[: len(pictures)], outputs)
