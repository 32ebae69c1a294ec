"""A model's answers: by name, and compiled for batches of one size."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def outputs_of(model: "keras.Model", pictures: Any) -> dict[str, Any]:
    """The model's outputs by name: `probabilities` where it has just one."""
    outputs = model(pictures, training=False)
    return outputs if isinstance(outputs, dict) else {"probabilities": outputs}


class Forward:
    """A function of arrays [batch, *shape], compiled once and called with up to `batch`.

    Args:
        prepare: makes the function's arrays, float32, of those that a call is given.

    Threads may call it at once and take turns, as two calls at once have crashed TensorFlow; it has threads of its own.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        batch: int,
        shape: tuple[int, ...],
        prepare: Callable[[np.ndarray], np.ndarray],
    ):
        import tensorflow as tf

        self._kept = function  # what is compiled only borrows its weights
        compiled = tf.function(function, autograph=False)
        self._compiled = compiled.get_concrete_function(tf.TensorSpec((batch, *shape), tf.float32))
        self._batch = batch
        self._prepare = prepare
        self._turn = threading.Lock()

    def __call__(self, given: np.ndarray) -> Any:
        """The outputs for arrays [n, *shape]; bit for bit, whatever else is in a batch."""
        import tensorflow as tf

        nothing = np.zeros((self._batch - len(given), *given.shape[1:]), given.dtype)
        filled = np.concatenate([given, nothing])
        seen = self._prepare(filled)
        with self._turn:
            outputs = self._compiled(tf.constant(seen))
            return tf.nest.map_structure(lambda output: output.numpy()[: len(given)], outputs)
