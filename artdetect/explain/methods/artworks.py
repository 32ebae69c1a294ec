"""Artworks as arrays, their bounded size, and maps enlarged to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artdetect.pictures.images import upright_rgb

Artwork = Image.Image | NDArray[np.uint8]


def as_array(artwork: Artwork | None) -> NDArray[np.uint8] | None:
    """An artwork as uint8 [h, w, 3]; None for None.

    Raises:
        ValueError: It is not an artwork: a Pillow image, or uint8 [h, w], [h, w, 1] or [h, w, 3].
    """
    if artwork is None:
        return None
    if isinstance(artwork, Image.Image):
        return np.asarray(upright_rgb(artwork))
    array = np.asarray(artwork)
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3) or not array.size:
        raise ValueError(
            "an artwork must be a Pillow image or uint8 [h, w], [h, w, 1] or [h, w, 3] of one pixel or more. "
            f"Received: {array.dtype} {list(np.shape(artwork))}"
        )
    return np.broadcast_to(array, (*array.shape[:2], 3))


def bounded(artwork: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """`artwork`, uint8 [h, w, 3], reduced so that its longer side has at most `longest` pixels."""
    height, width = bounded_shape(artwork.shape[:2], longest)
    if (height, width) == artwork.shape[:2]:
        return artwork
    return np.asarray(Image.fromarray(artwork).resize((width, height), Image.Resampling.LANCZOS))


def segmented_picture(
    image: NDArray[np.float32], artwork: NDArray[np.uint8] | None, longest: int
) -> NDArray[np.float32]:
    """The picture that is segmented: the artwork, bounded to `longest`, or what the model sees if that is larger.

    Args:
        image: float32 [H, W, 3] in [0, 1].
        artwork: The same picture for people, uint8 [h, w, 3].
        longest: The most pixels of the artwork's longer side.
    """
    if artwork is None or max(artwork.shape[:2]) < max(image.shape[:2]):
        return image
    return bounded(artwork, longest).astype(np.float32) / np.float32(255)


def bounded_shape(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """(height, width) of what `bounded` makes of an artwork of height and width `shape`."""
    scale = min(1.0, longest / max(shape))
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


def enlarged(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """`values` [h, w] at (H, W) = `size`, smooth. Pixel centres lie at half pixels, so nothing moves on the artwork.

    `scipy.ndimage.zoom` with its default grid aligns the centres of the corner pixels instead. From 32 to 256 pixels
    that shifts what lies at the edge by 3.
    """
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)).astype(values.dtype)
