"""A model's answers: by name, and compiled so that what it says of one picture never depends on the others."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect import compute

if TYPE_CHECKING:
    import keras


def outputs_of(model: "keras.Model", pictures: Any) -> dict[str, Any]:
    """The model's outputs by name: `probabilities` where it has just one."""
    outputs = model(pictures, training=False)
    return outputs if isinstance(outputs, dict) else {"probabilities": outputs}


class CompiledModel:
    """A function of arrays `[n, *shape]`, compiled once, which takes them one by one.

    In a batch, a picture's last bits depend on its place: which place, depends on the processor's kernels. One picture
    a pass has no place, and costs no more where several passes run at once.

    Args:
        function: maps float32 `[1, *shape]` to a tensor `[1, ...]`, or a dict of them.
        shape: of one array.
        prepare: makes the function's float32 arrays of those that a call is given.

    Threads may call it at once and take turns, as two calls at once have crashed TensorFlow; it has threads of its own.
    """

    def __init__(
        self, function: Callable[[Any], Any], shape: tuple[int, ...], prepare: Callable[[np.ndarray], np.ndarray]
    ):
        import tensorflow as tf

        self._function = function  # what is compiled only borrows its weights
        one = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))
        outputs = tf.nest.map_structure(
            lambda output: tf.TensorSpec(output.shape[1:], output.dtype), one.structured_outputs
        )

        def each(arrays: Any) -> Any:
            return tf.map_fn(
                lambda array: tf.nest.map_structure(lambda output: output[0], one(array[None])),
                arrays,
                fn_output_signature=outputs,
                parallel_iterations=compute.processors(),
            )

        compiled = tf.function(each, autograph=False)
        self._compiled = compiled.get_concrete_function(tf.TensorSpec((None, *shape), tf.float32))
        self._prepare = prepare
        self._turn = threading.Lock()

    def __call__(self, given: np.ndarray) -> Any:
        """The outputs for arrays `[n, *shape]`, each bit for bit what it would be alone; all of them are in memory."""
        import tensorflow as tf

        seen = self._prepare(given)
        with self._turn:
            return tf.nest.map_structure(lambda output: output.numpy(), self._compiled(tf.constant(seen)))
