"""Regions of a picture: its segments at six scales, grown a little so that they hold their edges.

Regions overlap, and a stack of boolean masks of them is hundreds of pictures large. Here each is the list of its
pixels, all lists end to end: `scipy.sparse`'s CSR layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from artdetect.explain.regions.segmentation import felzenszwalb

SCALES = (50, 100, 150, 250, 500, 1200)
SIGMA = 0.8
MIN_SIZE = 150  # pixels of a picture of SIDE x SIDE
SIDE = 224  # the side for which scales and sizes are meant

_COMPILED: dict[str, Any] = {"nogil": True, "cache": True}


@dataclass(frozen=True, eq=False)
class Regions:
    """Overlapping regions of a picture of `shape` [H, W].

    Args:
        starts: int64 [M + 1]; region m is `pixels[starts[m] : starts[m + 1]]`.
        pixels: int32, flat indices y * W + x, each once in a region, in no order.
        shape: Of the picture.
    """

    starts: NDArray[np.int64]
    pixels: NDArray[np.int32]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, region: int) -> NDArray[np.int32]:
        """The pixels of one region."""
        return self.pixels[self.starts[region] : self.starts[region + 1]]


def from_picture(picture: NDArray[np.floating], dilation: float) -> Regions:
    """The regions of a picture at its own resolution; scales, sizes and `dilation` grow with it.

    Args:
        picture: float [H, W, C] of any range.
        dilation: Radius by which each segment grows, in pixels of a picture of `SIDE` x `SIDE`.
    """
    zoom = float(np.sqrt(picture.shape[0] * picture.shape[1]) / SIDE)
    scales = tuple(scale * zoom for scale in SCALES)
    labels = felzenszwalb(_in_range(picture), scales, SIGMA, max(1, round(MIN_SIZE * zoom**2)))
    return from_labels(labels, round(dilation * zoom))


def as_saliency(image: NDArray[np.floating], dilation: int) -> Regions:
    """The regions of the saliency package: segments of `image` at 224 x 224, brought to its size, then grown."""
    labels = felzenszwalb(_cubic(_in_range(image), (SIDE, SIDE)), SCALES, SIGMA, MIN_SIZE)
    if image.shape[:2] != (SIDE, SIDE):
        nearest = _nearest((SIDE, SIDE), image.shape[:2])
        labels = labels.reshape(len(labels), -1)[:, nearest].reshape(len(labels), *image.shape[:2])
    return from_labels(labels, dilation)


def from_labels(labels: NDArray[np.integer], radius: int) -> Regions:
    """The segments of label maps int [S, H, W], each grown by a disk of `radius` pixels, by map and label.

    A label between the lowest and the highest of its map that no pixel has makes an empty region.
    """
    count, height, width = labels.shape
    flat_maps = labels.reshape(count, -1)
    lowest = flat_maps.min(axis=1).astype(np.int64)  # in the labels' own type, 0 to 255 would be 0 segments
    segments = flat_maps.max(axis=1).astype(np.int64) - lowest + 1
    starts = np.zeros(int(segments.sum()) + 1, np.int64)
    rows, columns = _disk(radius)
    pixels = np.empty(2 * count * height * width + rows.size + 1, np.int32)
    while True:
        seen = np.full(height * width, -1, np.int32)
        end, done = 0, 0
        for number in range(count):
            flat = (labels[number] - lowest[number]).astype(np.int32).ravel()
            end = _grown(flat, height, width, segments[number], rows, columns, done, seen, pixels, starts, end)
            if end < 0:
                break
            done += int(segments[number])
        if end >= 0:
            starts[-1] = end
            return Regions(starts, pixels[:end].copy(), (height, width))
        pixels = np.empty(2 * pixels.size, np.int32)


def from_masks(masks: Sequence[NDArray[np.bool_]]) -> Regions:
    """Boolean masks [H, W] as they are."""
    lists = [np.flatnonzero(mask).astype(np.int32) for mask in masks]
    starts = np.concatenate([[0], np.cumsum([len(pixels) for pixels in lists])]).astype(np.int64)
    return Regions(starts, np.concatenate(lists), np.shape(masks[0]))


def _in_range(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """`image` in [-1, 1], for which the scales are meant; zero where it is of one value."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low) * 2 - 1 if high > low else np.zeros_like(image)


def _disk(radius: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Row and column offsets of the pixels within `radius` of one."""
    span = np.arange(-radius, radius + 1, dtype=np.int32)
    rows, columns = np.nonzero(span[:, None] ** 2 + span**2 <= radius**2)
    return span[rows], span[columns]


@numba.njit(**_COMPILED)
def _grown(labels, height, width, segments, rows, columns, done, seen, pixels, starts, end):
    """Appends the grown segments of one label map; the new end of `pixels`, or -1 where it is too short.

    Only a segment's border pixels stamp the disk. `seen` holds the last region that took a pixel.
    """
    first = np.zeros(segments + 1, np.int64)
    for pixel in range(labels.size):
        first[labels[pixel] + 1] += 1
    for segment in range(segments):
        first[segment + 1] += first[segment]
    place = first[:-1].copy()
    members = np.empty(labels.size, np.int32)
    for pixel in range(labels.size):
        members[place[labels[pixel]]] = pixel
        place[labels[pixel]] += 1
    for segment in range(segments):
        region = done + segment
        starts[region] = end
        for index in range(first[segment], first[segment + 1]):
            pixel = members[index]
            y, x = pixel // width, pixel % width
            if end + rows.size >= pixels.size:
                return -1
            if seen[pixel] != region:
                seen[pixel] = region
                pixels[end] = pixel
                end += 1
            if (
                (y > 0 and labels[pixel - width] != segment)
                or (y < height - 1 and labels[pixel + width] != segment)
                or (x > 0 and labels[pixel - 1] != segment)
                or (x < width - 1 and labels[pixel + 1] != segment)
            ):
                for stamp in range(rows.size):
                    row, column = y + rows[stamp], x + columns[stamp]
                    if 0 <= row < height and 0 <= column < width:
                        near = row * width + column
                        if seen[near] != region:
                            seen[near] = region
                            pixels[end] = near
                            end += 1
    return end


def _cubic(image: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.floating]:
    """`skimage.transform.resize` of order 3 with antialiasing, as one matrix product for each axis."""
    if image.shape[:2] == shape:
        return image
    rows, columns = _cubic_matrix(image.shape[0], shape[0]), _cubic_matrix(image.shape[1], shape[1])
    with _one_thread():  # for so small a product a second one only waits in a loop, and we have threads by picture
        resized = np.einsum("ih,hwc,jw->ijc", rows, image.astype(np.float64), columns, optimize=True)
    return np.clip(resized.astype(image.dtype), image.min(), image.max())


def _one_thread() -> AbstractContextManager:
    return _pools().limit(limits=1, user_api="blas")


@lru_cache(1)
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


@lru_cache(16)
def _cubic_matrix(old: int, new: int) -> NDArray[np.float64]:
    """The linear map of `_cubic` along one axis, [new, old]: what it does to each unit vector."""
    from scipy import ndimage

    identity = np.eye(old)
    sigma = max(0.0, (old / new - 1) / 2)
    if sigma > 0:
        identity = ndimage.gaussian_filter1d(identity, sigma, axis=0, mode="constant", cval=0)
    return ndimage.zoom(identity, (new / old, 1), order=3, mode="grid-constant", cval=0, grid_mode=True)


@lru_cache(16)
def _nearest(old: tuple[int, int], new: tuple[int, int]) -> NDArray[np.int64]:
    """For each pixel of `new` the one of `old` that `skimage.transform.resize` of order 0 takes, flat."""
    from skimage.transform import resize

    pixel = np.arange(old[0] * old[1]).reshape(old)
    taken = resize(pixel, new, order=0, preserve_range=True, mode="constant", anti_aliasing=False)
    return taken.astype(np.int64).ravel()
