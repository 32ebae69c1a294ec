"""The few regions that a map points at, whatever finds their pieces: where the evidence reaches half of its peak."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from artdetect.explain import map_values
from artdetect.explain.explanation import Explanation, Region

MOST = 5  # regions of a picture
Pieces = Callable[[NDArray[np.bool_]], Iterable[NDArray[np.bool_]]]  # from places [H, W] to their connected pieces


def find(values: NDArray[np.floating], speaks: float, smallest: int, pieces: Pieces) -> NDArray[np.int8]:
    """The regions of a map.

    Args:
        values: float [H, W], positive for one class, negative for the other.
        speaks: The value from which a place says something.
        smallest: Pixels of the smallest region.
        pieces: What finds the connected pieces of some places.

    Returns:
        int8 [H, W]: n in the region with the n-th largest sum of values, `MOST` at most; 0 elsewhere.
    """
    found = []
    for sign in (1, -1):
        toward = sign * values
        peak = float(np.sort(toward, axis=None)[-min(smallest, toward.size)])  # that of the smallest region: no spike
        if peak < speaks or peak <= 0:
            continue
        for inside in pieces(toward >= max(speaks, peak / 2)):
            if inside.sum() >= smallest:
                found.append((float(toward[inside].sum()), inside))
    found.sort(key=lambda pair: -pair[0])
    region_map = np.zeros(values.shape, np.int8)
    for number, (_, inside) in reversed([*enumerate(found[:MOST], 1)]):
        region_map[inside] = number
    return region_map


def described(explanation: Explanation, region_map: NDArray[np.int8]) -> Explanation:
    """The explanation with these regions [H, W], at the size of its heatmap, and what each says."""
    values, heatmap = map_values.for_ai(explanation), map_values.heatmap_for_ai(explanation)
    regions = []
    for number in range(1, region_map.max() + 1):
        inside = region_map == number
        p_ai = None if explanation.p_ai is None else float(values[inside].mean() + 1) / 2
        regions.append(Region(float(inside.mean()), float(heatmap[inside].mean()), p_ai))
    return replace(explanation, regions=tuple(regions), region_map=region_map)
