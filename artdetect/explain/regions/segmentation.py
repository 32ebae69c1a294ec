"""Felzenszwalb's segmentation at several scales at once.

The label maps are those of `skimage.segmentation.felzenszwalb`, scale for scale. Smoothing, the costs of the edges and
their order do not depend on the scale and are computed once. What is left is a union-find in compiled code, which
releases Python's lock, so that each thread can take a picture.
Source: Felzenszwalb and Huttenlocher 2004, "Efficient Graph-Based Image Segmentation".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_COMPILED: dict[str, Any] = {"nogil": True, "cache": True}


def felzenszwalb(
    image: NDArray[np.floating], scales: tuple[float, ...], sigma: float, min_size: int
) -> NDArray[np.int32]:
    """Segment a picture at several scales.

    Args:
        image: float [H, W, C], one pixel or more. The scales refer to its value range, in 1/255 of it.
        scales: Larger scales give larger segments.
        sigma: Standard deviation of the Gaussian that smooths the picture first; pixels.
        min_size: Segments of fewer pixels are merged into a neighbour.

    Returns:
        Label maps int32 [S, H, W], one for each scale; labels count from 0 without gaps.
    """
    from skimage.filters import gaussian

    smooth = gaussian(np.asarray(image, np.float64), sigma=[sigma, sigma], mode="reflect", channel_axis=-1)
    height, width = smooth.shape[:2]
    steps = (
        smooth[:, 1:] - smooth[:, :-1],
        smooth[1:] - smooth[:-1],
        smooth[1:, 1:] - smooth[:-1, :-1],
        smooth[1:, :-1] - smooth[:-1, 1:],
    )
    costs = np.concatenate([np.sqrt(np.sum(step * step, axis=-1)).ravel() for step in steps])
    order = np.argsort(costs)  # not stable, as in scikit-image: edges of one cost come in its order
    first, second = _edges(height, width)
    first, second, costs = first[order], second[order], costs[order]
    labels = np.empty((len(scales), height * width), np.int32)
    for row, scale in zip(labels, scales, strict=True):
        _segment(first, second, costs, float(scale) / 255.0, min_size, row)
    return labels.reshape(len(scales), height, width)


@lru_cache(4)
def _edges(height: int, width: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The flat indices of the two pixels of each edge: to the right, lower and both lower diagonal neighbours."""
    pixel = np.arange(height * width, dtype=np.int32).reshape(height, width)
    first = pixel[:, 1:], pixel[1:], pixel[1:, 1:], pixel[:-1, 1:]
    second = pixel[:, :-1], pixel[:-1], pixel[:-1, :-1], pixel[1:, :-1]
    return np.concatenate([part.ravel() for part in first]), np.concatenate([part.ravel() for part in second])


@numba.njit(**_COMPILED)
def _root(parent, pixel):
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


@numba.njit(**_COMPILED)
def _segment(first, second, costs, scale, min_size, labels):
    """Fill `labels`. Edges come in the order of their costs. The root of a segment is always its smallest pixel."""
    parent = np.arange(labels.size).astype(np.int32)
    size = np.ones(labels.size, np.int32)
    internal = np.zeros(labels.size)
    boundary = np.empty(first.size, np.int32)  # edges between segments: only they can join small ones later
    count = 0
    for edge in range(first.size):
        if parent[first[edge]] == parent[second[edge]]:  # the case for most edges
            continue
        one, other = _root(parent, first[edge]), _root(parent, second[edge])
        if one == other:
            continue
        # single precision, as scikit-image compares them
        bound = min(np.float32(internal[one] + scale / size[one]), np.float32(internal[other] + scale / size[other]))
        if costs[edge] < bound:
            low, high = min(one, other), max(one, other)
            parent[high] = low
            size[low] = size[one] + size[other]
            internal[low] = costs[edge]
        else:
            boundary[count] = edge
            count += 1
    for index in range(count):
        edge = boundary[index]
        one, other = _root(parent, first[edge]), _root(parent, second[edge])
        if one != other and (size[one] < min_size or size[other] < min_size):
            low, high = min(one, other), max(one, other)
            parent[high] = low
            size[low] = size[one] + size[other]
    segments = 0
    for pixel in range(labels.size):
        root = _root(parent, pixel)
        if root == pixel:
            labels[pixel] = segments
            segments += 1
        else:
            labels[pixel] = labels[root]
