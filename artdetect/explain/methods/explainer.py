"""What all explainers share: one call for a batch, one for an endless stream, and the same checks of what comes in."""

from __future__ import annotations

import hashlib
import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artdetect.explain.explanation import Explanation, Explanations
from artdetect.explain.model_score import ExplainedScore, Target
from artdetect.pictures.images import upright_rgb
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import keras

Artwork = Image.Image | NDArray[np.uint8]
Segments = NDArray[np.integer] | Sequence[NDArray[np.bool_]]
GROUP_PIXELS = 2**18  # of the model's pictures that are worked on together: bounds memory


class Explainer(ABC):
    """A method of explanation, ready for a model.

    Args:
        model: A Keras model, input [N, H, W, 3] in [0, 1], output [N, 2] of a softmax; class 0 = AI, 1 = human.
        target: The number that is explained: see `Score`.
        batch_size: Pictures in one call of the model, at most; fewer if they are large. It bounds memory and does not
            change a map beyond rounding.

    Raises:
        ModelError: The model does not end in a softmax over two classes.
        ValueError: A setting is not what it must be.
    """

    method: str

    def __init__(self, model: keras.Model, *, target: Target = "logit_margin", batch_size: int = 64):
        one_of("target", target, get_args(Target))
        at_least("batch_size", batch_size, 1, whole=True)
        self.model = model
        self.score = ExplainedScore(model, target, batch_size)

    @property
    def config(self) -> dict[str, Any]:
        """What shapes a map, as JSON values."""
        return {"method": self.method, "target": self.score.target}

    @property
    def at_once(self) -> int:
        """Pictures that are worked on together."""
        return self.score.fitting(GROUP_PIXELS)

    def __call__(
        self,
        images: NDArray[np.float32],
        targets: Sequence[int] | NDArray[np.integer] | None = None,
        artworks: Sequence[Artwork] | None = None,
        segments: Sequence[Segments] | None = None,
    ) -> Explanations:
        """Explains a batch.

        Args:
            images: float32 [N, H, W, 3] in [0, 1], as the model takes them; N may be 0.
            targets: The class to explain of each, int [N]; None = the predicted one.
            artworks: The same pictures for people, N of any size, with the field of view of `images`: Pillow images or
                uint8 [h, w], [h, w, 1], [h, w, 3]. Methods with regions take these from them, and the heatmap has
                their resolution; other methods enlarge the heatmap to it. None = `images`.
            segments: Regions to take instead, for each picture label maps int [H, W] or [S, H, W], or a list of
                boolean masks [H, W], at the heatmap's resolution; only for methods with regions.

        Raises:
            ModelError: The model's output or gradient is not finite.
            TypeError, ValueError: A picture or what comes with it is not what it must be.
        """
        for name, given in (("targets", targets), ("artworks", artworks), ("segments", segments)):
            if given is not None and len(given) != len(images):
                raise ValueError(f"`{name}` must be one for each picture, {len(images)}. Received: {len(given)}")
        return Explanations(list(self.stream(images, targets, artworks, segments)), self.config)

    def stream(
        self,
        images: Iterable[NDArray[np.float32]],
        targets: Iterable[int | None] | None = None,
        artworks: Iterable[Artwork | None] | None = None,
        segments: Iterable[Segments | None] | None = None,
    ) -> Iterator[Explanation]:
        """The same for pictures that come one after the other, in their order and without end if need be.

        A few pictures are taken ahead, as many as fill a group of `GROUP_PIXELS`.

        Raises:
            As `__call__`; ValueError also where the four differ in number.
        """
        rows = _rows(images, targets, artworks, segments)
        while group := self._group(rows):
            yield from group

    def _group(self, rows: Iterator[tuple[Any, ...]]) -> list[Explanation]:
        """The next explanations; none at the end of `rows`."""
        taken = list(islice(rows, self.at_once))
        if not taken:
            return []
        images, targets, artworks, segments = zip(*taken, strict=True)
        for image in images:
            check_image(image, self.score.input_shape)
            if image.shape != images[0].shape:
                raise ValueError(
                    "pictures that are explained together must have one size. "
                    f"Received: {list(images[0].shape)} and {list(image.shape)}"
                )
        stacked = np.stack(images)
        logits = self.score.logits(stacked)  # asked for in any case: a broken model must not explain anything
        predicted = logits.argmax(axis=1)
        named = np.array([_class(target) for target in targets])
        chosen = np.where(named < 0, predicted, named)
        return self._explain(stacked, chosen, [as_array(artwork) for artwork in artworks], segments)

    @abstractmethod
    def _explain(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.integer],
        artworks: Sequence[NDArray[np.uint8] | None],
        segments: Sequence[Segments | None],
    ) -> list[Explanation]:
        """One explanation for each of `images`, N of 1 or more; all has been checked."""


def _rows(*columns: Iterable[Any] | None) -> Iterator[tuple[Any, ...]]:
    """The columns' values side by side, None for a column that is None; ValueError where they differ in length."""
    given = [number for number, column in enumerate(columns) if column is not None]
    for values in zip(*(columns[number] for number in given), strict=True):
        row = dict(zip(given, values, strict=True))
        yield tuple(row.get(number) for number in range(len(columns)))


def _class(target: Any) -> int:
    """`target` as an index; -1 for None."""
    if target is None:
        return -1
    if target not in range(len(CLASSES)):
        raise ValueError(f"`targets` must be None, 0 or 1 each. Received: target={target!r}")
    return int(target)


def check_image(image: NDArray[np.float32], input_shape: tuple[int | None, ...]) -> None:
    """Raises where `image` is not float32 [H, W, 3] in [0, 1] of the size that the model takes."""
    dtype, shape = getattr(image, "dtype", type(image).__name__), np.shape(image)
    if dtype != np.float32:  # uint8 would wrap around unseen where a baseline is taken off
        raise TypeError(f"a picture to explain must be a float32 array in [0, 1]. Received: {dtype}")
    if len(shape) != 3 or any(want not in (None, have) for want, have in zip(input_shape, shape, strict=True)):
        raise ValueError(f"a picture to explain must be [H, W, C] = {list(input_shape)}. Received: {list(shape)}")
    if not (image.min() >= 0 and image.max() <= 1):  # written so that NaN fails, too
        raise ValueError(f"a picture to explain must lie in [0, 1]. Received: {image.min()} to {image.max()}")


def as_array(artwork: Artwork | None) -> NDArray[np.uint8] | None:
    """uint8 [h, w, 3]."""
    if artwork is None:
        return None
    if isinstance(artwork, Image.Image):
        return np.asarray(upright_rgb(artwork))
    array = np.asarray(artwork)
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3) or not array.size:
        raise ValueError(
            "an artwork must be a Pillow image or uint8 [h, w], [h, w, 1] or [h, w, 3] of one pixel or more. "
            f"Received: {array.dtype} {list(np.shape(artwork))}"
        )
    return np.broadcast_to(array, (*array.shape[:2], 3))


def one_of(name: str, value: Any, allowed: Sequence[str]) -> None:
    """ValueError, naming both, where `value` is not among `allowed`."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {tuple(allowed)}. Received: {name}={value!r}")


def at_least(name: str, value: float, least: float, *, whole: bool = False) -> None:
    """ValueError, naming both, where `value` is below `least`, or not a finite or not a `whole` number."""
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value < float("inf"):
        raise ValueError(
            f"`{name}` must be {'a whole number, ' if whole else ''}{least} or more. Received: {name}={value!r}"
        )


def as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` with Python's numbers for NumPy's, and the sha256 of its shape and content for an array."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return hashlib.sha256(repr(value.shape).encode() + value.tobytes()).hexdigest()
        return value.item() if isinstance(value, np.generic) else value

    return {name: plain(value) for name, value in settings.items()}


def enlarged(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """`values` [h, w] at (H, W) = `size`, smooth, pixel centres at half pixels: nothing moves against the artwork.

    `scipy.ndimage.zoom` with its default grid aligns the corner pixels' centres instead: from 32 to 256 pixels that
    shifts what lies at the edge by 3.
    """
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)).astype(values.dtype)
