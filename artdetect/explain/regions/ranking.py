"""XRAI's region ranking: which regions carry the most attribution for their size, the best one first.

It gives the result of the paper's greedy merge. The sum and the count of each region over the pixels not yet covered
are updated in each round instead of being computed again over whole masks.
Source: Kapishnikov et al. 2019, arXiv 1906.02825, algorithm 1; "fast" is the saliency package's shortcut.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from artdetect.explain.regions import Regions

_COMPILED: dict[str, Any] = {"nogil": True, "cache": True}
_TIE = 1e-5  # share of the largest attribution: running sums closer than this are compared exactly


def rank(
    attributions: NDArray[np.floating], regions: Regions, algorithm: str, min_region: int
) -> tuple[NDArray[np.floating], NDArray[np.int32]]:
    """Rank the regions of a picture.

    Args:
        attributions: float [H, W], finite.
        regions: The regions of the same picture, at the same size.
        algorithm: "full" ranks what is left of each region again after each choice; "fast" ranks all regions once, by
            their whole area.
        min_region: A region that adds fewer pixels than this is left out; 1 or more.

    Returns:
        The heatmap [H, W], of the type of `attributions`: each pixel has the mean attribution of what its region added.
        The ranks, int32 [H, W], 1 = the highest mean; pixels that no region covers come last, as one.
    """
    values = np.ascontiguousarray(attributions).ravel()
    added = (_full if algorithm == "full" else _fast)(values, regions, min_region)
    means = [values[pixels].mean() for pixels in added]
    order = sorted(range(len(added)), key=lambda index: -means[index])
    heatmap, ranks = np.zeros(values.size, values.dtype), np.zeros(values.size, np.int32)
    for position, index in enumerate(order, 1):
        heatmap[added[index]], ranks[added[index]] = means[index], position
    if (rest := ranks == 0).any():
        heatmap[rest], ranks[rest] = values[rest].mean(), len(order) + 1
    return heatmap.reshape(regions.shape), ranks.reshape(regions.shape)


def _full(values: NDArray[np.floating], regions: Regions, min_region: int) -> list[NDArray[np.int32]]:
    """The pixels that each chosen region adds, sorted, in the order of the choice."""
    exact = values.astype(np.float64)
    counts, sums, marks = _totals(regions.starts, regions.pixels, exact, _marks(values.size))
    _, first = np.unique(marks, return_index=True)
    candidates = np.sort(first)  # of equal regions only the first can ever be chosen
    where, holders = _holders(regions.starts, regions.pixels, values.size)
    covered = np.zeros(values.size, bool)
    near = _TIE * np.abs(exact).max(initial=0)
    added: list[NDArray[np.int32]] = []
    while True:
        candidates = candidates[counts[candidates] >= min_region]
        if not candidates.size:
            return added
        gains = sums[candidates] / counts[candidates]
        best = candidates[gains >= gains.max() - near]
        rest = [_uncovered(regions.pixels_of(region), covered) for region in best]
        chosen = int(np.argmax([values[pixels].mean() for pixels in rest])) if len(rest) > 1 else 0
        _cover(rest[chosen], covered, where, holders, exact, counts, sums)
        added.append(rest[chosen])


def _fast(values: NDArray[np.floating], regions: Regions, min_region: int) -> list[NDArray[np.int32]]:
    """The pixels that each region adds, sorted, if they are enough; regions in the order of their whole means."""
    whole = [np.sort(regions.pixels_of(region)) for region in range(len(regions))]
    gains = [values[pixels].mean() if pixels.size else -np.inf for pixels in whole]
    covered = np.zeros(values.size, bool)
    added = []
    for region in sorted(range(len(whole)), key=lambda index: -gains[index]):
        pixels = whole[region][~covered[whole[region]]]
        if pixels.size >= min_region:
            covered[pixels] = True
            added.append(pixels)
    return added


def _uncovered(pixels: NDArray[np.int32], covered: NDArray[np.bool_]) -> NDArray[np.int32]:
    return np.sort(pixels[~covered[pixels]])


def _marks(pixels: int) -> NDArray[np.uint64]:
    """A random number for each pixel. Regions with the same exclusive or of these numbers are the same region."""
    return np.random.default_rng(0).integers(0, 2**64, pixels, dtype=np.uint64)


@numba.njit(**_COMPILED)
def _totals(starts, pixels, values, marks):
    """Count, sum and mark of each region."""
    regions = starts.size - 1
    counts, sums, combined = np.zeros(regions, np.int64), np.zeros(regions), np.zeros(regions, np.uint64)
    for region in range(regions):
        for index in range(starts[region], starts[region + 1]):
            counts[region] += 1
            sums[region] += values[pixels[index]]
            combined[region] ^= marks[pixels[index]]
    return counts, sums, combined


@numba.njit(**_COMPILED)
def _holders(starts, pixels, size):
    """The regions that hold each pixel p: `holders[where[p] : where[p + 1]]`."""
    where = np.zeros(size + 1, np.int64)
    for pixel in pixels:
        where[pixel + 1] += 1
    for pixel in range(size):
        where[pixel + 1] += where[pixel]
    place = where[:-1].copy()
    holders = np.empty(pixels.size, np.int32)
    for region in range(starts.size - 1):
        for index in range(starts[region], starts[region + 1]):
            holders[place[pixels[index]]] = region
            place[pixels[index]] += 1
    return where, holders


@numba.njit(**_COMPILED)
def _cover(added, covered, where, holders, values, counts, sums):
    """Remove the pixels `added` from the counts and sums of all regions that hold them."""
    for pixel in added:
        covered[pixel] = True
        for index in range(where[pixel], where[pixel + 1]):
            counts[holders[index]] -= 1
            sums[holders[index]] -= values[pixel]
