"""How well a map finds a region: AUC, pointing game, IoU at matched area; and a map that knows nothing, beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from artdetect.explain.explanation import Explanation

METRICS = ("auc", "pointing", "iou")  # in [0, 1], more is better

Mask = NDArray[np.bool_]


def measures(heatmap: NDArray[np.floating], mask: Mask) -> dict[str, float]:
    """All `METRICS` of a map and a region, both [H, W]."""
    return {"auc": auc(heatmap, mask), "pointing": pointing(heatmap, mask), "iou": iou(heatmap, mask)}


def auc(heatmap: NDArray[np.floating], mask: Mask) -> float:
    """How often a pixel of the region has a higher value than one outside, a tie half: the area under the ROC curve."""
    inside, all_pixels = _counts(heatmap, mask)
    outside = all_pixels - inside
    below = np.cumsum(outside) - outside / 2
    return float(inside @ below / (inside.sum() * outside.sum()))


def pointing(heatmap: NDArray[np.floating], mask: Mask) -> float:
    """Whether the map's highest value lies in the region; of several highest ones, the share that does.

    Source: the pointing game of Zhang et al. 2016, arXiv 1608.00507.
    """
    return float(mask[heatmap == heatmap.max()].mean())


def iou(heatmap: NDArray[np.floating], mask: Mask) -> float:
    """Intersection over union of the region and as many of the highest pixels; equal values count by their share."""
    inside, all_pixels = (counts[::-1] for counts in _counts(heatmap, mask))  # the highest value first
    area = int(mask.sum())
    room = np.clip(area - (np.cumsum(all_pixels) - all_pixels), 0, all_pixels)
    hits = float(np.sum(inside * room / all_pixels))
    return hits / (2 * area - hits)


def expected_by_chance(area: float) -> dict[str, float]:
    """`METRICS` of a map that knows nothing of a region with this share of the area.

    The IoU is that of the expected overlap.
    """
    return {"auc": 0.5, "pointing": area, "iou": area / (2 - area)}


def uninformed(explanation: Explanation, draw: np.random.Generator) -> NDArray[np.float32]:
    """A map like the explanation's that knows nothing of the picture: its values in other places, float32 [H, W].

    Where each region has one value, these are dealt out to the regions at random. Other maps are moved by a random
    distance, around the edges, and mirrored or not, so that they keep their smoothness.
    """
    heatmap = explanation.heatmap
    if explanation.ranks is not None:
        _, first, region = np.unique(explanation.ranks, return_index=True, return_inverse=True)
        values = heatmap.ravel()[first]
        if np.array_equal(values[region].reshape(heatmap.shape), heatmap):
            return draw.permutation(values)[region].reshape(heatmap.shape)
    moved = np.roll(heatmap, [int(draw.integers(side)) for side in heatmap.shape], axis=(0, 1))
    return moved[:: draw.choice([1, -1]), :: draw.choice([1, -1])]


def _counts(heatmap: NDArray[np.floating], mask: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many pixels have each value, lowest first: those of the region, and all."""
    if not 0 < mask.sum() < mask.size or heatmap.shape != mask.shape:
        raise ValueError(
            "a region must have pixels inside and outside, and the size of the map. "
            f"Received: {int(mask.sum())} of {mask.size} pixels; {list(heatmap.shape)} and {list(mask.shape)}"
        )
    _, level = np.unique(heatmap, return_inverse=True)
    level = level.ravel()
    all_pixels = np.bincount(level).astype(np.float64)
    return np.bincount(level[mask.ravel()], minlength=len(all_pixels)).astype(np.float64), all_pixels
