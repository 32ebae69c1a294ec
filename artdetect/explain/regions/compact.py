"""The few regions that a map points at: connected, compact, and larger than what the map can resolve.

A map of a hundred patches of both signs is sharp and points at nothing. What is kept here is where the evidence for a
class reaches half of its peak, without threads and specks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from artdetect.explain import map_values, pointing
from artdetect.explain.explanation import Explanation

_SIDE = 256  # px, at most, of the longer side on which regions are looked for


def with_regions(explanation: Explanation, grain: float, *, smooth: bool) -> Explanation:
    """The explanation with its `regions` and `region_map`.

    Args:
        explanation: An explanation.
        grain: Side of the smallest thing that its map can resolve, as a share of the longer side. No region is smaller
            than the square of it.
        smooth: Whether values are averaged over `grain` first: those of single pixels and small patches scatter.
    """
    values = map_values.for_ai(explanation)
    height, width = values.shape
    step = -(-max(height, width) // _SIDE)
    coarse, side = values[::step, ::step], grain * max(height, width) / step
    if smooth:
        coarse = ndimage.gaussian_filter(coarse, side / 4, mode="nearest")
    found = find(coarse, map_values.speaking(explanation, coarse), side)
    return pointing.described(explanation, found.repeat(step, axis=0).repeat(step, axis=1)[:height, :width])


def find(values: NDArray[np.floating], speaks: float, side: float) -> NDArray[np.int8]:
    """The regions of a map, as `pointing.find` gives them.

    Args:
        values: float [H, W], positive for one class, negative for the other.
        speaks: The value from which a place says something.
        side: Side of the smallest thing that the map can resolve; pixels.
    """

    def pieces(places: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
        labels, count = ndimage.label(_compact(places, side / 6))
        return (ndimage.binary_fill_holes(labels == number) for number in range(1, count + 1))

    return pointing.find(values, speaks, max(1, math.ceil(side**2)), pieces)


def _compact(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """`mask` without what is thinner than a disk, and with gaps closed that are; by distances, as disks grow slow."""
    margin = int(radius) + 2
    padded = np.pad(mask, margin, mode="symmetric")
    core = _distance(padded) > radius
    opened = _distance(~core) <= radius
    grown = _distance(~opened) <= radius
    closed = _distance(grown) > radius
    return closed[margin:-margin, margin:-margin]


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The distance of each pixel of `mask` to the nearest outside; infinite where there is no outside."""
    return np.full(mask.shape, np.inf) if mask.all() else ndimage.distance_transform_edt(mask)
