"""Regions of a picture: its segments at six scales, each grown a little so that it contains its edges.

Regions overlap, and a stack of boolean masks would be as large as hundreds of pictures. Here each region is the list of
its pixels, and all lists stand end to end, in the CSR layout of `scipy.sparse`.
"""

from __future__ import annotations

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
SIDE = 224  # the side of pictures that scales and sizes refer to

_COMPILED: dict[str, Any] = {"nogil": True, "cache": True}


@dataclass(frozen=True, eq=False)
class Regions:
    """Overlapping regions of a picture.

    Args:
        starts: int64 [M + 1]; region m is `pixels[starts[m] : starts[m + 1]]`.
        pixels: int32, flat indices y * W + x; a region has each of its pixels once, in no order.
        shape: Height and width of the picture.
    """

    starts: NDArray[np.int64]
    pixels: NDArray[np.int32]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def pixels_of(self, region: int) -> NDArray[np.int32]:
        """The pixels of one region."""
        return self.pixels[self.starts[region] : self.starts[region + 1]]

    def pixels_at_side(self, area: float) -> int:
        """An area in pixels of a picture of `SIDE` x `SIDE`, in pixels of this one; 1 or more."""
        return max(1, round(area * self.shape[0] * self.shape[1] / SIDE**2))


def from_picture(picture: NDArray[np.floating], dilation: float) -> Regions:
    """The regions of a picture at its own resolution. Scales, sizes and `dilation` grow with it.

    Args:
        picture: float [H, W, C] of any range.
        dilation: Radius by which each segment grows, in pixels of a picture of `SIDE` x `SIDE`.
    """
    zoom = float(np.sqrt(picture.shape[0] * picture.shape[1]) / SIDE)
    scales = tuple(scale * zoom for scale in SCALES)
    labels = felzenszwalb(_in_range(picture), scales, SIGMA, max(1, round(MIN_SIZE * zoom**2)))
    return from_labels(labels, round(dilation * zoom))


def as_saliency(image: NDArray[np.floating], dilation: int) -> Regions:
    """The regions of the saliency package: segments of `image` at 224 x 224, resized to its size, then grown.

    Args:
        image: float [H, W, C] of any range.
        dilation: Radius by which each segment grows, in pixels of `image`.
    """
    labels = felzenszwalb(_cubic(_in_range(image), (SIDE, SIDE)), SCALES, SIGMA, MIN_SIZE)
    if image.shape[:2] != (SIDE, SIDE):
        nearest = _nearest((SIDE, SIDE), image.shape[:2])
        labels = labels.reshape(len(labels), -1)[:, nearest].reshape(len(labels), *image.shape[:2])
    return from_labels(labels, dilation)


def from_labels(labels: NDArray[np.integer], radius: int) -> Regions:
    """The segments of label maps, each grown by a disk, in the order of maps and labels.

    Args:
        labels: int [S, H, W]. A label between the lowest and the highest of its map that no pixel has makes an empty
            region.
        radius: The radius of the disk; pixels.
    """
    count, height, width = labels.shape
    flat_maps = labels.reshape(count, -1)
    lowest = flat_maps.min(axis=1).astype(np.int64)  # in uint8, the labels 0 to 255 would be 0 segments
    segments = flat_maps.max(axis=1).astype(np.int64) - lowest + 1
    starts = np.zeros(int(segments.sum()) + 1, np.int64)
    rows, columns = _disk(radius)
    pixels = np.empty(2 * count * height * width + rows.size + 1, np.int32)
    while True:
        last_region = np.full(height * width, -1, np.int32)
        end, done = 0, 0
        for number in range(count):
            flat = (labels[number] - lowest[number]).astype(np.int32).ravel()
            end = _grown(flat, height, width, segments[number], rows, columns, done, last_region, pixels, starts, end)
            if end < 0:
                break
            done += int(segments[number])
        if end >= 0:
            starts[-1] = end
            return Regions(starts, pixels[:end].copy(), (height, width))
        pixels = np.empty(2 * pixels.size, np.int32)


def _in_range(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """`image` scaled to [-1, 1], the range that scales refer to; zero where it has one value."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low) * 2 - 1 if high > low else np.zeros_like(image)


def _disk(radius: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Row and column offsets of the pixels within `radius` of one."""
    span = np.arange(-radius, radius + 1, dtype=np.int32)
    rows, columns = np.nonzero(span[:, None] ** 2 + span**2 <= radius**2)
    return span[rows], span[columns]


@numba.njit(**_COMPILED)
def _grown(labels, height, width, segments, rows, columns, done, last_region, pixels, starts, end):
    """Append the grown segments of one label map; return the new end of `pixels`, or -1 where it is too short.

    Only the border pixels of a segment stamp the disk. `last_region` holds the last region that took a pixel.
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
            if last_region[pixel] != region:
                last_region[pixel] = region
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
                        if last_region[near] != region:
                            last_region[near] = region
                            pixels[end] = near
                            end += 1
    return end


def _cubic(image: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.floating]:
    """`skimage.transform.resize` of order 3 with antialiasing, as one matrix product for each axis."""
    if image.shape[:2] == shape:
        return image
    rows, columns = _cubic_matrix(image.shape[0], shape[0]), _cubic_matrix(image.shape[1], shape[1])
    with _one_thread():  # for so small a product a second thread only waits, and each picture has a thread already
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
