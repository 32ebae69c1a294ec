"""Compiled models whose output for a picture never depends on the other pictures of the call."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def outputs_of(model: "keras.Model", pictures: Any) -> dict[str, Any]:
    """The model's outputs by name. A single unnamed output is `probabilities`."""
    outputs = model(pictures, training=False)
    return outputs if isinstance(outputs, dict) else {"probabilities": outputs}


class CompiledModel:
    """A function of arrays `[n, *shape]`, compiled once, that processes one array per forward pass.

    In a larger batch the last bits of an output depend on the array's position in the batch, in a way that differs
    between processors. With one array per pass there is no position.

    Passes run one after the other, each with all threads of TensorFlow, and so do the calls of Python threads that
    share an instance. In parallel, TensorFlow's oneDNN kernels crash or return wrong numbers: two passes of one graph
    did so on a processor with AMX in every run.

    Args:
        function: Maps float32 `[1, *shape]` to a tensor `[1, ...]` or to a dict of tensors.
        shape: Shape of one array.
        prepare: Converts the arrays of a call to the float32 arrays that `function` takes.
    """

    def __init__(
        self, function: Callable[[Any], Any], shape: tuple[int, ...], prepare: Callable[[np.ndarray], np.ndarray]
    ):
        import tensorflow as tf

        self._function = function  # keeps the weights alive: the compiled function only borrows them
        one = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))
        outputs = tf.nest.map_structure(
            lambda output: tf.TensorSpec(output.shape[1:], output.dtype), one.structured_outputs
        )

        def each(arrays: Any) -> Any:
            return tf.map_fn(
                lambda array: tf.nest.map_structure(lambda output: output[0], one(array[None])),
                arrays,
                fn_output_signature=outputs,
                parallel_iterations=1,
            )

        compiled = tf.function(each, autograph=False)
        self._compiled = compiled.get_concrete_function(tf.TensorSpec((None, *shape), tf.float32))
        self._prepare = prepare
        self._lock = threading.Lock()

    def __call__(self, arrays: np.ndarray) -> Any:
        """The outputs for arrays `[n, *shape]`, each bit for bit as if its array were alone."""
        import tensorflow as tf

        inputs = self._prepare(arrays)
        with self._lock:
            return tf.nest.map_structure(lambda output: output.numpy(), self._compiled(tf.constant(inputs)))
