"""A model as the methods of the saliency package call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from artdetect.core.errors import ModelError
from artdetect.explain.model_score import ExplainedScore, one_hot
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import keras


def call_model_function(score: ExplainedScore) -> Callable[..., dict[str, NDArray[np.float32]]]:
    """`call_model_function` of the package's `GetMask`; its `call_model_args` is the class to explain, 0 or 1.

    It answers INPUT_OUTPUT_GRADIENTS and OUTPUT_LAYER_VALUES, both of the score, and, of `Convolution`,
    CONVOLUTION_LAYER_VALUES and CONVOLUTION_OUTPUT_GRADIENTS: all that the package's methods ask for.

    Raises:
        ModelError: From what is returned: something asked for is not finite, or the model has no convolution.
        ValueError: From what is returned: another key is asked for, or none, or another class.
    """
    import saliency.core as saliency

    convolution = Convolution(score)
    answers: dict[str, Callable[..., NDArray[np.float32]]] = {
        saliency.INPUT_OUTPUT_GRADIENTS: score.gradients,
        saliency.OUTPUT_LAYER_VALUES: score.values,
    }
    layer = saliency.CONVOLUTION_LAYER_VALUES, saliency.CONVOLUTION_OUTPUT_GRADIENTS
    keys = sorted((*answers, *layer))

    def call_model(images, call_model_args=None, expected_keys=None):
        if not expected_keys or not set(expected_keys) <= set(keys):
            raise ValueError(f"`expected_keys` must be among {keys}. Received: {expected_keys!r}")
        if call_model_args not in range(len(CLASSES)):
            raise ValueError(f"`call_model_args` must be the class, 0 or 1. Received: {call_model_args!r}")
        images, targets = np.asarray(images, np.float32), np.full(len(images), call_model_args)
        found = {key: answers[key](images, targets) for key in expected_keys if key in answers}
        if len(found) < len(expected_keys):
            found |= zip(layer, convolution(images, targets), strict=True)
        return {key: found[key] for key in expected_keys}

    return call_model


class Convolution:
    """The last layer of a model whose output is still a picture, its values and the score's gradient for them.

    That is, of the layers in the order in which they run, however deep they stand in models in the model, the last one
    with an output [N, h, w, K] of more than one pixel. A layer that runs several times, because the model looks at
    several views of the picture, counts as it runs first: our nets look at the picture itself first.
    """

    def __init__(self, score: ExplainedScore):
        self.score = score

    def __call__(
        self, images: NDArray[np.float32], targets: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Values and gradients, float32 [N, h, w, K] each, of `images`, float32 [N, H, W, 3], for their `targets`.

        Raises:
            ModelError: They are not finite, or no layer of the model has such an output.
        """
        values, gradients = (found.numpy() for found in self._function(images, one_hot(targets)))
        return self.score.finite(values, "last convolution"), self.score.finite(gradients, "gradient")

    @cached_property
    def _function(self) -> Any:
        import tensorflow as tf

        @tf.function(autograph=False)  # which would wrap the error below in its own words
        def values_and_gradients(images, classes):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(images)
                with _outputs(self.score.network) as outputs:
                    score = self.score.of(images, classes)
            pictures = [one for one in outputs if len(getattr(one, "shape", ())) == 4 and one.shape[1:3] != (1, 1)]
            if not pictures:
                raise ModelError(
                    f"model {self.score.name!r} cannot be explained by Grad-CAM: none of its layers gives [N, h, w, K]"
                )
            gradient = tape.gradient(score, pictures[-1], unconnected_gradients="zero")
            return tf.cast(pictures[-1], tf.float32), tf.cast(gradient, tf.float32)

        return values_and_gradients


@contextmanager
def _outputs(model: keras.Model) -> Iterator[list[Any]]:
    """Notes what each layer gives when it runs first, in this order.

    A layer inside a nested model has no tensor in the graph of the whole, so it has to be seen at work.
    """
    outputs: list[Any] = []
    layers = list(_layers(model))

    def noted(layer):
        call = layer.call
        seen: list[bool] = []

        def calling(*args, **kwargs):
            output = call(*args, **kwargs)
            if not seen:
                seen.append(True)
                outputs.append(output)
            return output

        return calling

    try:
        for layer in layers:
            layer.call = noted(layer)
        yield outputs
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)  # back to the class's


def _layers(model: keras.Model) -> list[keras.Layer]:
    """The layers of `model` and of the models in it, each once, but not those models themselves."""
    found: dict[int, keras.Layer] = {}
    for layer in model.layers:
        inner = _layers(layer) if hasattr(layer, "layers") else [layer]
        found |= {id(one): one for one in inner}
    return list(found.values())
