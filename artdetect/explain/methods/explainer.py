"""What all explanation methods share: a call for a batch, one for an endless stream, and the checks of their input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import BATCH_SIZE, Settings, at_least
from artdetect.explain.methods.artworks import Artwork, as_array
from artdetect.explain.model_score import ExplainedScore, max_batch
from artdetect.explain.regions import compact
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import keras

GROUP_PIXELS = 2**18  # of the model's pictures that are explained together: bounds memory


class Explainer(ABC):
    """An explanation method, ready for a model.

    Args:
        model: A Keras model, input [N, H, W, 3] in [0, 1], output [N, 2] of a softmax; class 0 = AI, 1 = human.
        batch_size: Pictures in one call of the model, at most; fewer if they are large. It bounds memory and does not
            change a map beyond rounding.
        settings: Fields of `settings_class`; those left out have its defaults.

    Raises:
        ModelError: The model does not end in a softmax over two classes.
        ValueError: There is no such setting, or a value is not allowed.
    """

    settings_class: ClassVar[type[Settings]]
    settings: Settings

    def __init__(self, model: keras.Model, *, batch_size: int = BATCH_SIZE, **settings: Any):
        self.settings = self.settings_class.make(**settings)
        at_least("batch_size", batch_size, 1, whole=True)
        self.batch_size = batch_size
        self._model = model
        self._check_model()

    def _check_model(self) -> None:
        _ = self.score

    @property
    def model(self) -> keras.Model:
        """The Keras model."""
        return self._model

    @cached_property
    def score(self) -> ExplainedScore:
        """The number that is explained."""
        return ExplainedScore(self.model, self.settings.target, self.batch_size)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Height, width and channels of the model's pictures; None where any will do."""
        return self.score.input_shape

    @property
    def options(self) -> dict[str, Any]:
        """What the explainer was made with besides model and settings; this does not shape a map."""
        return {"batch_size": self.batch_size}

    @cached_property
    def config(self) -> dict[str, Any]:
        """What shapes a map besides model and picture, as JSON values."""
        return {"method": self.settings.method, **self.settings.as_json()}

    @property
    def group_size(self) -> int:
        """How many pictures are explained together."""
        return max_batch(self.input_shape, GROUP_PIXELS)

    def __call__(
        self,
        images: NDArray[np.float32],
        targets: Sequence[int] | NDArray[np.integer] | None = None,
        artworks: Sequence[Artwork | None] | None = None,
    ) -> list[Explanation]:
        """Explain a batch.

        Args:
            images: float32 [N, H, W, 3] in [0, 1], as the model takes them; N may be 0.
            targets: The class to explain of each, int [N]; None = the predicted one.
            artworks: The same pictures for people, N of any size, with the field of view of `images`: Pillow images or
                uint8 [h, w], [h, w, 1], [h, w, 3]. Methods with regions segment them, and the heatmap has their
                resolution; other methods enlarge the heatmap to it. None = `images`.

        Returns:
            One explanation for each picture.

        Raises:
            ModelError: The model's output or gradient is not finite.
            TypeError: A picture is not float32.
            ValueError: A picture, class or artwork is not valid, or their numbers differ.
        """
        for name, values in (("targets", targets), ("artworks", artworks)):
            if values is not None and len(values) != len(images):
                raise ValueError(f"`{name}` must be one for each picture, {len(images)}. Received: {len(values)}")
        return list(self.stream(images, targets, artworks))

    def stream(
        self,
        images: Iterable[NDArray[np.float32]],
        targets: Iterable[int | None] | None = None,
        artworks: Iterable[Artwork | None] | None = None,
    ) -> Iterator[Explanation]:
        """Explain pictures that come one after the other, in their order and without end if need be.

        A few pictures are read ahead, as many as fill a group of `GROUP_PIXELS`.

        Args:
            images, targets, artworks: As for `__call__`, one at a time.

        Raises:
            ModelError, TypeError, ValueError: As `__call__`.
        """
        rows = _rows(images, targets, artworks)
        while group := self._group(rows):
            yield from group

    def _group(self, rows: Iterator[tuple[Any, ...]]) -> list[Explanation]:
        """The next explanations; none at the end of `rows`."""
        taken = list(islice(rows, self.group_size))
        if not taken:
            return []
        images, targets, artworks = zip(*taken, strict=True)
        for image in images:
            check_image(image, self.input_shape)
            if image.shape != images[0].shape:
                raise ValueError(
                    "pictures that are explained together must have one size. "
                    f"Received: {list(images[0].shape)} and {list(image.shape)}"
                )
        stacked = np.stack(images)
        given = np.array([_class_index(target) for target in targets])
        explanations = self._explain(stacked, given, [as_array(artwork) for artwork in artworks])
        grain, scatters = self.grain(stacked.shape[1]), self.settings.scatters
        return [compact.with_regions(explanation, grain, smooth=scatters) for explanation in explanations]

    def grain(self, side: int) -> float:
        """The smallest region to point at, as a share of the picture's side, see `compact.with_regions`.

        Args:
            side: Side of the model's picture; pixels.
        """
        return 1 / 8  # values of pixels scatter, and are averaged that far

    @abstractmethod
    def _explain(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.integer],
        artworks: Sequence[NDArray[np.uint8] | None],
    ) -> list[Explanation]:
        """Explain a group whose input has been checked.

        Args:
            images: float32 [N, H, W, 3] in [0, 1]; N is 1 or more.
            targets: The classes to explain, int [N]; -1 for the predicted one, see `_classes`.
            artworks: uint8 [h, w, 3] each, or None.

        Returns:
            One explanation for each picture.

        Raises:
            ModelError: The model's output is not finite: a broken model must not explain anything.
        """

    def _classes(self, images: NDArray[np.float32], targets: NDArray[np.integer]) -> NDArray[np.integer]:
        """`targets` with the predicted classes in place of -1; errors as for `_explain`."""
        return np.where(targets < 0, self.score.logits(images).argmax(axis=1), targets)


def check_image(image: NDArray[np.float32], input_shape: tuple[int | None, ...]) -> None:
    """Raise TypeError or ValueError where `image` is not float32 [H, W, 3] in [0, 1] of the model's size."""
    dtype, shape = getattr(image, "dtype", type(image).__name__), np.shape(image)
    if dtype != np.float32:  # uint8 would silently wrap around when a baseline is subtracted
        raise TypeError(f"a picture to explain must be a float32 array in [0, 1]. Received: {dtype}")
    if len(shape) != 3 or any(expected not in (None, size) for expected, size in zip(input_shape, shape, strict=True)):
        raise ValueError(f"a picture to explain must be [H, W, C] = {list(input_shape)}. Received: {list(shape)}")
    if not (image.min() >= 0 and image.max() <= 1):  # written so that NaN fails, too
        raise ValueError(f"a picture to explain must lie in [0, 1]. Received: {image.min()} to {image.max()}")


def _rows(*columns: Iterable[Any] | None) -> Iterator[tuple[Any, ...]]:
    """The columns' values side by side, None for a column that is None; ValueError where they differ in length."""
    given = [number for number, column in enumerate(columns) if column is not None]
    for values in zip(*(columns[number] for number in given), strict=True):
        row = dict(zip(given, values, strict=True))
        yield tuple(row.get(number) for number in range(len(columns)))


def _class_index(target: Any) -> int:
    """`target` as an index; -1 for None."""
    if target is None:
        return -1
    if target not in range(len(CLASSES)):
        raise ValueError(f"`targets` must be None, 0 or 1 each. Received: target={target!r}")
    return int(target)
