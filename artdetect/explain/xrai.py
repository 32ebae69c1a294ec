"""XRAI: the regions of a picture that speak for a class, in the order of their importance.

The maps are those of the saliency package with the same settings; what is added is one compiled gradient for all
pictures, the class that was predicted instead of always class 0, and a clear answer where the package gives NaN.
Source: Kapishnikov et al. 2019, arXiv 1906.02825.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from artdetect.explain.arrays import Explanation
from artdetect.explain.model_access import Margin
from artdetect.labels import CLASSES

if TYPE_CHECKING:
    import keras

__all__ = ["Algorithm", "Explanation", "explain", "explain_many"]

Algorithm = Literal["full", "fast"]


def explain(
    model: keras.Model,
    image: NDArray[np.float32],
    target: int | None = None,
    *,
    steps: int,
    batch_size: int,
    algorithm: Algorithm,
) -> Explanation:
    """Explains one picture. For several, `explain_many` compiles the gradient only once.

    Args:
        model: A Keras model, input [N, H, W, 3] in [0, 1], output [N, 2] of a softmax; class 0 = AI, 1 = human.
        image: float32 [H, W, 3] in [0, 1]; H and W as the model takes them.
        target: The class to explain; None = the predicted one.
        steps: Points on the path of the integrated gradients from each baseline to the picture; 2 or more. The
            baselines are saliency's: the picture's lowest and its highest value everywhere.
        batch_size: Points in one call of the model. It bounds memory and does not change the map.
        algorithm: "full" ranks a region anew after each merge, "fast" ranks all regions once.

    Returns:
        The explanation; a picture of one value has no regions and nothing to attribute: zero everywhere, one region.

    Raises:
        ModelError: The model does not end in a softmax over two classes, or its output or gradient is not finite.
        TypeError, ValueError: The picture or a setting is not what it must be.
    """
    return next(explain_many(model, [image], [target], steps=steps, batch_size=batch_size, algorithm=algorithm))


def explain_many(
    model: keras.Model,
    images: Iterable[NDArray[np.float32]],
    targets: Iterable[int | None] | None = None,
    *,
    steps: int,
    batch_size: int,
    algorithm: Algorithm,
) -> Iterator[Explanation]:
    """Explains pictures one after the other, in their order; holds one of them at a time.

    Args:
        model, steps, batch_size, algorithm: As in `explain`; checked before the first picture is asked for.
        images: Pictures as in `explain`.
        targets: One for each picture, as in `explain`; None = the predicted class of each.

    Raises:
        As `explain`; ValueError also where `images` and `targets` differ in number.
    """
    if steps < 2:  # with one step, saliency never calls the model and gives a map of zeros
        raise ValueError(f"`steps` must be 2 or more. Received: steps={steps}")
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be 1 or more. Received: batch_size={batch_size}")
    if algorithm not in get_args(Algorithm):
        raise ValueError(f"`algorithm` must be one of {get_args(Algorithm)}. Received: algorithm={algorithm!r}")
    margin = Margin(model, min(batch_size, steps))
    if targets is None:
        return (_explain(margin, image, None, steps, algorithm) for image in images)
    pairs = zip(images, targets, strict=True)
    return (_explain(margin, image, target, steps, algorithm) for image, target in pairs)


def _explain(
    margin: Margin, image: NDArray[np.float32], target: int | None, steps: int, algorithm: Algorithm
) -> Explanation:
    _check(image, margin.input_shape)
    logits = margin.logits(image[np.newaxis])[0]  # asked for in any case: a broken model must not explain anything
    if target is None:
        target = int(logits.argmax())
    elif target not in range(len(CLASSES)):
        raise ValueError(f"`target` must be None, 0 or 1. Received: target={target!r}")
    if image.min() == image.max():
        attributions, ranks = np.zeros(image.shape[:2], np.float32), np.ones(image.shape[:2], np.int32)
    else:
        attributions, ranks = _saliency_xrai(margin, image, target, steps, algorithm)
    settings = {"method": "xrai", "algorithm": algorithm, "steps": steps, "baselines": "lowest and highest value"}
    return Explanation(attributions, ranks, int(target), settings)


def _saliency_xrai(
    margin: Margin, image: NDArray[np.float32], target: int, steps: int, algorithm: Algorithm
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Heatmap and ranks, both [H, W], of a picture that is not of one value."""
    import saliency.core as saliency

    parameters = saliency.XRAIParameters(steps=steps, algorithm=algorithm, return_xrai_segments=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"saliency\.")
        found = saliency.XRAI().GetMaskWithDetails(
            image, call_model_function(margin), target, batch_size=margin.batch_size, extra_parameters=parameters
        )
    return found.attribution_mask.astype(np.float32), found.segments.astype(np.int32)


def call_model_function(margin: Margin) -> Callable[..., dict[str, NDArray[np.float32]]]:
    """The model as the methods of saliency call it; `call_model_args` is the class to explain.

    It answers the keys that need no layer to be named: INPUT_OUTPUT_GRADIENTS (XRAI, integrated gradients) and
    OUTPUT_LAYER_VALUES (occlusion), both of the logit margin. GradCAM's keys raise: which layer they mean is not
    a property of the model, and a wrong guess would look like an answer.

    Raises:
        ValueError: Another key is asked for, or none.
    """
    import saliency.core as saliency

    def gradients(images, target):
        return margin.gradients(images, target)

    def values(images, target):
        logits = margin.logits(images)
        return logits[:, target] - logits[:, 1 - target]

    answers: dict[str, Any] = {
        saliency.INPUT_OUTPUT_GRADIENTS: gradients,
        saliency.OUTPUT_LAYER_VALUES: values,
    }

    def call_model(images, call_model_args=None, expected_keys=None):
        unknown = [key for key in expected_keys or [] if key not in answers]
        if unknown or not expected_keys:
            raise ValueError(f"`expected_keys` must be among {sorted(answers)}. Received: {expected_keys!r}")
        return {key: answers[key](images, call_model_args) for key in expected_keys}

    return call_model


def _check(image: NDArray[np.float32], input_shape: tuple[int | None, ...]) -> None:
    """Raises where `image` is not float32 [H, W, 3] in [0, 1] of the size that the model takes."""
    dtype, shape = getattr(image, "dtype", type(image).__name__), np.shape(image)
    if dtype != np.float32:  # uint8 would wrap around unseen in saliency's `image - baseline`
        raise TypeError(f"a picture to explain must be a float32 array in [0, 1]. Received: {dtype}")
    if len(shape) != 3 or any(want not in (None, have) for want, have in zip(input_shape, shape, strict=True)):
        raise ValueError(f"a picture to explain must be [H, W, C] = {list(input_shape)}. Received: {list(shape)}")
    if not (image.min() >= 0 and image.max() <= 1):  # written so that NaN fails, too
        raise ValueError(f"a picture to explain must lie in [0, 1]. Received: {image.min()} to {image.max()}")
