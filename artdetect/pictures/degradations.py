"""What happens to pictures on their way through the web: saved again, shrunk, blurred, cropped, recoloured.

Each takes and gives canonical pixels, uint8 [S, S, 3]. The same functions make training's views and evaluation's grid.
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
    """Saved and read again; `quality` 1 to 100, as Pillow takes it. PNG is lossless and gives the same pixels."""
    Image.fromarray(pixels).save(buffer := io.BytesIO(), format, quality=quality)
    with Image.open(buffer) as again:
        return np.asarray(again.convert("RGB"))


def rescale(pixels: "Pixels", factor: float, down: str = "bicubic", up: str = "bicubic") -> "Pixels":
    """Resized by `factor` with one filter and back with another."""
    side = pixels.shape[0]
    other = max(8, round(side * factor))
    small = Image.fromarray(pixels).resize((other, other), FILTERS[down])
    return np.asarray(small.resize((side, side), FILTERS[up]))


def blur(pixels: "Pixels", sigma: float) -> "Pixels":
    """Gaussian; `sigma` in pixels."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def noise(pixels: "Pixels", sigma: float, rng: np.random.Generator) -> "Pixels":
    """Gaussian, independent a value; `sigma` as a share of the full range."""
    noisy = pixels + rng.standard_normal(pixels.shape, np.float32) * np.float32(255 * sigma)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def crop(pixels: "Pixels", share: float, left: float, top: float) -> "Pixels":
    """A window of `share` of the side, enlarged back; `left` and `top` from 0 to 1 say where between the edges."""
    side = pixels.shape[0]
    return np.asarray(Image.fromarray(_window(pixels, share, left, top)).resize((side, side), FILTERS["bicubic"]))


def crop_native(pixels: "Pixels", share: float, left: float, top: float) -> "Pixels":
    """The same window at its own scale, mirrored at its edges to fill the square: no pixel is resampled."""
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
    """1 leaves each as it is; saturation 0 is greyscale."""
    picture = Image.fromarray(pixels)
    for enhance, factor in (
        (ImageEnhance.Brightness, brightness),
        (ImageEnhance.Contrast, contrast),
        (ImageEnhance.Color, saturation),
    ):
        if factor != 1:
            picture = enhance(picture).enhance(factor)
    return np.asarray(picture)
