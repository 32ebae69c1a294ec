"""Adapts a model to the interface that the methods of the saliency package call."""

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
    """Make the `call_model_function` of the package's `GetMask`; its `call_model_args` is the class, 0 or 1.

    It answers all keys that the package's methods request: INPUT_OUTPUT_GRADIENTS and OUTPUT_LAYER_VALUES from the
    score, CONVOLUTION_LAYER_VALUES and CONVOLUTION_OUTPUT_GRADIENTS from `Convolution`. It raises ModelError where a
    result is not finite or the model has no convolution, and ValueError where no key, another key or another class is
    requested.
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
        results = {key: answers[key](images, targets) for key in expected_keys if key in answers}
        if len(results) < len(expected_keys):
            results |= zip(layer, convolution(images, targets), strict=True)
        return {key: results[key] for key in expected_keys}

    return call_model


class Convolution:
    """The values of the last layer whose output is still a picture, and the gradient of the score by them.

    Layers are taken in the order in which they run, also those of nested models. The last one with an output
    [N, h, w, K] of more than one pixel counts. A layer that runs several times, because the model takes several views
    of the picture, counts at its first run: our nets take the picture itself first.
    """

    def __init__(self, score: ExplainedScore):
        self.score = score

    def __call__(
        self, images: NDArray[np.float32], targets: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Values and gradients, float32 [N, h, w, K] each.

        Args:
            images: float32 [N, H, W, 3] in [0, 1].
            targets: The classes whose score is differentiated, int [N].

        Raises:
            ModelError: A value or gradient is not finite, or no layer of the model has such an output.
        """
        values, gradients = (tensor.numpy() for tensor in self._function(images, one_hot(targets)))
        return (
            self.score.require_finite(values, "last convolution"),
            self.score.require_finite(gradients, "gradient"),
        )

    @cached_property
    def _function(self) -> Any:
        import tensorflow as tf

        @tf.function(autograph=False)  # autograph would wrap the error below in a long one
        def values_and_gradients(images, classes):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(images)
                with _recorded_outputs(self.score.network) as outputs:
                    score = self.score.compute(images, classes)
            pictures = [one for one in outputs if len(getattr(one, "shape", ())) == 4 and one.shape[1:3] != (1, 1)]
            if not pictures:
                raise ModelError(
                    f"model {self.score.name!r} cannot be explained by Grad-CAM: none of its layers gives [N, h, w, K]"
                )
            gradient = tape.gradient(score, pictures[-1], unconnected_gradients="zero")
            return tf.cast(pictures[-1], tf.float32), tf.cast(gradient, tf.float32)

        return values_and_gradients


@contextmanager
def _recorded_outputs(model: keras.Model) -> Iterator[list[Any]]:
    """Record what each layer returns at its first run, in this order.

    A layer of a nested model has no tensor in the graph of the whole model, so its calls must be intercepted.
    """
    outputs: list[Any] = []
    layers = list(_layers(model))

    def recording(layer):
        call = layer.call
        first = True

        def record(*args, **kwargs):
            nonlocal first
            output = call(*args, **kwargs)
            if first:
                first = False
                outputs.append(output)
            return output

        return record

    try:
        for layer in layers:
            layer.call = recording(layer)
        yield outputs
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)  # the class's own again


def _layers(model: keras.Model) -> list[keras.Layer]:
    """The layers of `model` and of its nested models, each once, without those models themselves."""
    layers: dict[int, keras.Layer] = {}
    for layer in model.layers:
        inner = _layers(layer) if hasattr(layer, "layers") else [layer]
        layers |= {id(one): one for one in inner}
    return list(layers.values())
