"""The few regions that a map points at: connected, compact, and larger than what the map can resolve.

A map of a hundred patches of both signs is sharp and points at nothing. What is kept here is where the evidence for a
class reaches half of its peak, without threads and specks.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from artdetect.explain import map_values
from artdetect.explain.explanation import Explanation, Region

MOST = 5  # regions of a picture
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
    region_map = found.repeat(step, axis=0).repeat(step, axis=1)[:height, :width]
    regions = []
    for number in range(1, found.max() + 1):
        inside = region_map == number
        p_ai = None if explanation.p_ai is None else float(values[inside].mean() + 1) / 2
        value = float(map_values.heatmap_for_ai(explanation)[inside].mean())
        regions.append(Region(float(inside.mean()), value, p_ai))
    return replace(explanation, regions=tuple(regions), region_map=region_map)


def find(values: NDArray[np.floating], speaks: float, side: float) -> NDArray[np.int8]:
    """The regions of a map.

    Args:
        values: float [H, W], positive for one class, negative for the other.
        speaks: The value from which a place says something.
        side: Side of the smallest thing that the map can resolve; pixels.

    Returns:
        int8 [H, W]: n in the region with the n-th largest sum of values, `MOST` at most; 0 elsewhere.
    """
    found = []
    smallest = max(1, math.ceil(side**2))
    for sign in (1, -1):
        toward = sign * values
        peak = float(np.sort(toward, axis=None)[-min(smallest, toward.size)])  # that of the smallest region: no spike
        if peak < speaks or peak <= 0:
            continue
        labels, count = ndimage.label(_compact(toward >= max(speaks, peak / 2), side / 6))
        for number in range(1, count + 1):
            inside = ndimage.binary_fill_holes(labels == number)
            if inside.sum() >= smallest:
                found.append((float(toward[inside].sum()), inside))
    found.sort(key=lambda pair: -pair[0])
    region_map = np.zeros(values.shape, np.int8)
    for number, (_, inside) in reversed([*enumerate(found[:MOST], 1)]):
        region_map[inside] = number
    return region_map


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
