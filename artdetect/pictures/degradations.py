"""The degradations of pictures on the web: compression, resizing, blur, noise, crops and colour changes.

Each function maps canonical pixels to canonical pixels, uint8 [S, S, 3]. Both the degraded views for training and the
corruptions for evaluation use them.
"""

import io
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def save(pixels: "Pixels", format: Literal["JPEG", "WEBP", "PNG"], quality: int = 75) -> "Pixels":
    """Save in a format and read again.

    Args:
        pixels: uint8 [S, S, 3].
        format: Name of the format. PNG is lossless and gives the same pixels.
        quality: Pillow's quality, 1 to 100; PNG ignores it.
    """
    Image.fromarray(pixels).save(buffer := io.BytesIO(), format, quality=quality)
    with Image.open(buffer) as again:
        return np.asarray(again.convert("RGB"))


def rescale(pixels: "Pixels", factor: float, down: str = "bicubic", up: str = "bicubic") -> "Pixels":
    """Resize by `factor`, and back.

    Args:
        pixels: uint8 [S, S, 3].
        factor: Size of the intermediate picture relative to S.
        down: The filter of the first step, a key of `FILTERS`.
        up: The filter of the second step.
    """
    side = pixels.shape[0]
    other = max(8, round(side * factor))
    small = Image.fromarray(pixels).resize((other, other), FILTERS[down])
    return np.asarray(small.resize((side, side), FILTERS[up]))


def blur(pixels: "Pixels", sigma: float) -> "Pixels":
    """Apply a Gaussian blur; `sigma` in pixels."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def noise(pixels: "Pixels", sigma: float, rng: np.random.Generator) -> "Pixels":
    """Add independent Gaussian noise to each value.

    Args:
        pixels: uint8 [S, S, 3].
        sigma: Standard deviation of the noise, as a fraction of the full range of 255.
        rng: Draws the noise.
    """
    noisy = pixels + rng.standard_normal(pixels.shape, np.float32) * np.float32(255 * sigma)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def crop(pixels: "Pixels", share: float, left: float, top: float) -> "Pixels":
    """Crop a square window and enlarge it to the full size.

    Args:
        pixels: uint8 [S, S, 3].
        share: Side of the window relative to S.
        left: Horizontal position, from 0 (left edge) to 1 (right edge).
        top: Vertical position, from 0 (top edge) to 1 (bottom edge).
    """
    side = pixels.shape[0]
    return np.asarray(Image.fromarray(_window(pixels, share, left, top)).resize((side, side), FILTERS["bicubic"]))


def crop_native(pixels: "Pixels", share: float, left: float, top: float) -> "Pixels":
    """Crop a square window as `crop` does, and mirror it at its edges to fill the full size, without resampling.

    Args:
        pixels: uint8 [S, S, 3].
        share: Side of the window relative to S.
        left: Horizontal position, from 0 (left edge) to 1 (right edge).
        top: Vertical position, from 0 (top edge) to 1 (bottom edge).
    """
    window = _window(pixels, share, left, top)
    missing = pixels.shape[0] - window.shape[0]
    before = missing // 2
    return np.pad(window, ((before, missing - before), (before, missing - before), (0, 0)), "symmetric")


def _window(pixels: "Pixels", share: float, left: float, top: float) -> "Pixels":
    side = pixels.shape[0]
    window = min(side, max(8, round(side * share)))
    row, column = round(top * (side - window)), round(left * (side - window))
    return pixels[row : row + window, column : column + window]


def colour(pixels: "Pixels", brightness: float, contrast: float, saturation: float) -> "Pixels":
    """Multiply brightness, contrast and saturation by factors; a factor of 1 changes nothing.

    Args:
        pixels: uint8 [S, S, 3].
        brightness: Factor of the brightness; 0 is black.
        contrast: Factor of the contrast; 0 is one grey.
        saturation: Factor of the saturation; 0 is greyscale.
    """
    picture = Image.fromarray(pixels)
    for enhance, factor in (
        (ImageEnhance.Brightness, brightness),
        (ImageEnhance.Contrast, contrast),
        (ImageEnhance.Color, saturation),
    ):
        if factor != 1:
            picture = enhance(picture).enhance(factor)
    return np.asarray(picture)
