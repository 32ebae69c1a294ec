"""Pictures with a known region of the other class: a part of one test picture is pasted into another.

The truth of such a picture is known, so a map can be right or wrong about it. Which pictures, region and edge make a
splice follows from their contents and a seed. The part is pasted at the place that it has in its own picture, so that
blocks of JPEG stay on their grid.

**Why position gives nothing away.** A picture is cut into cells, and one of them is pasted, with a probability
proportional to a (1 - a), where a is its share of the area. Over the cells of one partition, every pair of pixels in
different cells then counts equally in both orders. So the expected AUC of any map that does not depend on the splice,
such as "the centre", is exactly 0.5.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from artdetect.pictures import content_draw
from artdetect.pictures.labels import AI, CLASSES, HUMAN

if TYPE_CHECKING:
    import pandas as pd

Edge = Literal["hard", "feathered", "colour-matched"]
Shape = Literal["rectangle", "blob"]
EDGES: tuple[Edge, ...] = ("hard", "feathered", "colour-matched")
SHAPES: tuple[Shape, ...] = ("rectangle", "blob")
AREAS = (0.05, 0.5)  # smallest and largest share of a picture that is pasted
SIZES = ((0.0, 0.1, "below 10 %"), (0.1, 0.25, "10 to 25 %"), (0.25, 1.0, "25 to 50 %"))  # of the area, in tables
MIN_PARENTS = 8  # of each class: with fewer, a mean over splices says next to nothing
FEATHER = 1 / 56  # standard deviation of a soft edge, as a share of the side: 4 px of 224
_DRAFT = 32  # side on which cells are drawn, in pixels
_JITTER = (0.7, 1.4)  # of the sides of cells
_TYPICAL = 0.065  # smallest mean share of a partition's cells, some of which are smaller
_ATTEMPTS = 100
_MAX_GAIN = 2.0  # by which colour matching stretches or shrinks contrast at most


@dataclass(frozen=True)
class Splice:
    """What a spliced picture is made of.

    Args:
        base: The sha256 of the picture that is pasted into.
        donor: The sha256 of the picture that a part is taken from.
        target: The class whose map must find the region: the donor's, or for a control the class that its splice has.
        control: Whether base and donor are of one class, so that there is nothing to find.
        shape: The kind of region.
        edge: How it is pasted. "colour-matched" is also feathered.
        seed: Seed of the region, together with `base`.
    """

    base: str
    donor: str
    target: int
    control: bool
    shape: Shape
    edge: Edge
    seed: int

    def mask(self, size: int) -> NDArray[np.bool_]:
        """The pasted region in a picture of this size, bool [size, size]."""
        draw = content_draw.generator(f"localisation {self.seed}", self.base)
        return _pasted_cell(partition(size, self.shape, draw), draw)


def draw(ai: Sequence[str], human: Sequence[str], count: int, seed: int) -> list[Splice]:
    """Draw splices in both directions, each followed by its control: the same base, region, edge and target.

    Args:
        ai: sha256s of AI pictures, in any order.
        human: sha256s of human-made pictures, in any order.
        count: The most splices, without controls; half of them into each class. No picture is the base of two, so there
            are fewer where the pictures do not suffice.
        seed: The seed.

    Returns:
        Splices and controls in turn; none where `shortage` gives a reason.
    """
    by_class = {
        name: sorted(set(contents), key=lambda content: content_draw.draw_key(f"localisation {seed}", content))
        for name, contents in ((AI, ai), (HUMAN, human))
    }
    if shortage(len(by_class[AI]), len(by_class[HUMAN])):
        return []
    each = min(max(1, count // 2), *(len(contents) - 1 for contents in by_class.values()))
    splices = []
    for number in range(each):
        for base_class, target in ((HUMAN, AI), (AI, HUMAN)):
            donors = {name: contents[(number + each) % len(contents)] for name, contents in by_class.items()}
            kind = SHAPES[number // len(EDGES) % len(SHAPES)], EDGES[number % len(EDGES)]
            splice = Splice(by_class[base_class][number], donors[target], target, False, *kind, seed)
            splices += [splice, replace(splice, donor=donors[base_class], control=True)]
    return splices


def shortage(ai: int, human: int) -> str | None:
    """Why no splices can be made of so many different pictures of each class, as a sentence; None where they can."""
    if min(ai, human) >= MIN_PARENTS:
        return None
    return (
        f"Whether maps find a pasted region could not be checked. That takes {MIN_PARENTS} test pictures of each class "
        f"that the model judges rightly; there are {ai} AI and {human} human ones."
    )


def parents(predictions: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The contents that splices are made of: test pictures that the model judges rightly.

    A picture that the model misjudges has evidence for the wrong class everywhere, so that there is no truth to find.

    Args:
        predictions: `sha256`, `label` and `predicted` of each picture.

    Returns:
        sha256s of AI pictures and of human-made ones.
    """
    right = predictions[predictions.predicted == predictions.label]
    ai, human = (sorted(set(right.sha256[right.label == CLASSES[name]])) for name in (AI, HUMAN))
    return ai, human


def partition(size: int, shape: Shape, draw: np.random.Generator) -> NDArray[np.int64]:
    """Cut a square into cells whose shares of the area all lie in `AREAS`, up to the pixels at their borders.

    Args:
        size: The side of the square in pixels. The cells are the same for every size.
        shape: "rectangle" cuts it into columns and each of them into rows; "blob" bends these cuts.
        draw: Draws everything.

    Returns:
        The number of each pixel's cell, int64 [size, size].
    """
    for attempt in itertools.count():
        if attempt % _ATTEMPTS == 0:  # small cells rarely all reach the smallest share, so each size is tried often
            share = float(np.exp(draw.uniform(*np.log((_TYPICAL, AREAS[1])))))
        cells = _random_cells(share, shape, draw)
        areas = np.bincount(cells(_DRAFT).ravel()) / _DRAFT**2
        if len(areas) > 1 and areas.min() >= AREAS[0] and areas.max() <= AREAS[1]:
            break
    return cells(size)


def _random_cells(share: float, shape: Shape, draw: np.random.Generator) -> Callable[[int], NDArray[np.int64]]:
    """A partition into cells of about this share of the area: size -> the number of each pixel's cell."""
    bends = [_waves(share**0.5, draw) for _ in range(2)] if shape == "blob" else []
    transposed = draw.random() < 0.5
    count = max(2, round(1 / share))
    columns = int(draw.integers(1, 4)) if count < 4 else round(count**0.5)
    rows = np.diff(np.linspace(0, count, min(columns, count) + 1).round().astype(int))
    widths = rows * draw.uniform(*_JITTER, len(rows))
    heights = [draw.uniform(*_JITTER, number) for number in rows]

    def labels(size: int) -> NDArray[np.int64]:
        centres = (np.arange(size) + 0.5) / size
        axes = list(np.meshgrid(centres, centres))
        if bends:
            axes = [axis + _enlarged(bend, size) for axis, bend in zip(axes, bends, strict=True)]
        x, y = axes[::-1] if transposed else axes
        column, numbers = _part(x, widths), np.zeros((size, size), np.int64)
        for number, (first, parts) in enumerate(zip(np.cumsum(rows) - rows, heights, strict=True)):
            inside = column == number
            numbers[inside] = first + _part(y[inside], parts)
        return numbers

    return labels


def cell_weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The probability of each cell of a partition to be pasted, see the module."""
    areas = np.bincount(labels.ravel()) / labels.size
    weights = areas * (1 - areas)
    return weights / weights.sum()


def spliced(
    splice: Splice, base: NDArray[np.uint8], donor: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A spliced picture and its truth.

    Args:
        splice: What to do.
        base: uint8 [S, S, 3].
        donor: uint8 [S, S, 3].

    Returns:
        The picture, uint8 [S, S, 3], and the pasted region, bool [S, S].
    """
    from scipy.ndimage import gaussian_filter

    mask = splice.mask(len(base))
    pasted = donor.astype(np.float64)
    if splice.edge == "colour-matched":
        pasted = colour_matched(pasted, base.astype(np.float64), mask)
    cover = mask.astype(np.float64)
    if splice.edge != "hard":
        cover = gaussian_filter(cover, FEATHER * len(base))
    cover = cover[..., np.newaxis]
    return np.rint(base * (1 - cover) + pasted * cover).clip(0, 255).astype(np.uint8), mask


def colour_matched(
    donor: NDArray[np.float64], base: NDArray[np.float64], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """`donor` with the mean and, as far as `_MAX_GAIN` allows, the deviation that `base` has in the region, by channel.

    Source: Reinhard et al. 2001, Color Transfer between Images; here in RGB.

    Args:
        donor: [S, S, 3] in [0, 255].
        base: [S, S, 3] in [0, 255].
        mask: The region.
    """
    theirs, ours = base[mask], donor[mask]
    gain = np.clip(theirs.std(axis=0) / np.maximum(ours.std(axis=0), 1e-6), 1 / _MAX_GAIN, _MAX_GAIN)
    matched = (donor - ours.mean(axis=0)) * gain + theirs.mean(axis=0)
    for _ in range(5):  # clipping moves the mean
        matched = np.clip(matched, 0, 255)
        matched += theirs.mean(axis=0) - matched[mask].mean(axis=0)
    return np.clip(matched, 0, 255)


def _pasted_cell(labels: NDArray[np.int64], draw: np.random.Generator) -> NDArray[np.bool_]:
    weights = cell_weights(labels)
    return labels == draw.choice(len(weights), p=weights)


def _part(values: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of the part of [0, 1] that each value lies in; those outside lie in the first or last."""
    cuts = np.cumsum(widths)[:-1] / widths.sum()
    return np.searchsorted(cuts, values, side="right")


def _waves(reach: float, draw: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise that bends cuts between cells of about `reach`, a share of the side."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(draw.standard_normal((_DRAFT, _DRAFT)), 0.35 * reach * _DRAFT, mode="wrap")
    return (0.15 * reach * noise / noise.std()).astype(np.float32)


def _enlarged(values: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    from PIL import Image

    return np.asarray(Image.fromarray(values).resize((size, size), Image.Resampling.BICUBIC), np.float64)
