"""Degraded views of a picture: number 0 is the canonical picture, each other number a seeded chain of degradations.

A view depends only on the content of the picture and the number, never on the class. Every view ends like a picture
that went through websites, resized and saved again. So in views, neither the history of a file nor its sharpness tells
the classes apart, whatever files the data set has.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from artdetect.pictures import content_draw, degradations

if TYPE_CHECKING:
    from artdetect.pictures.degradations import Pixels

    Step = Callable[["Pixels", np.random.Generator], "Pixels"]


SECOND_UPLOAD = 0.3  # share of views that are resized and saved twice


def degraded_view(pixels: "Pixels", sha256: str, number: int) -> "Pixels":
    """Compute one view of a picture.

    Args:
        pixels: The picture's canonical pixels, uint8 [S, S, 3].
        sha256: The digest of the picture's content, which seeds the view.
        number: The number of the view; 0 gives `pixels`.
    """
    if number == 0:
        return pixels
    rng = content_draw.generator(f"view {number} of", sha256)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    names = rng.permutation(len(DEGRADATIONS))[: rng.integers(1, 4)]  # one to three, in random order
    for name in names:
        pixels = DEGRADATIONS[name](pixels, rng)
    for _ in range(1 + (rng.random() < SECOND_UPLOAD)):
        pixels = _upload(pixels, rng)
    return np.ascontiguousarray(pixels)


def _upload(pixels: "Pixels", rng: np.random.Generator) -> "Pixels":
    """Resize, in half of the cases, and save."""
    if rng.random() < 0.5:
        down, up = rng.choice(list(degradations.FILTERS), 2)
        pixels = degradations.rescale(pixels, float(rng.uniform(0.5, 1.0)), str(down), str(up))
    return degradations.save(pixels, "WEBP" if rng.random() < 0.2 else "JPEG", int(rng.integers(50, 97)))


def _save(pixels: "Pixels", rng: np.random.Generator) -> "Pixels":
    return degradations.save(pixels, "WEBP" if rng.random() < 0.2 else "JPEG", int(rng.integers(30, 96)))


def _rescale(pixels: "Pixels", rng: np.random.Generator) -> "Pixels":
    down, up = rng.choice(list(degradations.FILTERS), 2)
    return degradations.rescale(pixels, float(rng.uniform(0.25, 1.0)), str(down), str(up))


def _blur(pixels: "Pixels", rng: np.random.Generator) -> "Pixels":
    return degradations.blur(pixels, float(rng.uniform(0.2, 2.0)))


def _noise(pixels: "Pixels", rng: np.random.Generator) -> "Pixels":
    return degradations.noise(pixels, float(rng.uniform(0.0, 0.1)), rng)


def _crop(pixels: "Pixels", rng: np.random.Generator) -> "Pixels":
    cut = degradations.crop if rng.random() < 0.5 else degradations.crop_native
    return cut(pixels, float(rng.uniform(0.6, 1.0)), float(rng.random()), float(rng.random()))


def _colour(pixels: "Pixels", rng: np.random.Generator) -> "Pixels":
    if rng.random() < 0.2:
        return degradations.colour(pixels, 1, 1, 0)
    brightness, contrast, saturation = rng.uniform(0.7, 1.3, 3)
    return degradations.colour(pixels, float(brightness), float(contrast), float(saturation))


DEGRADATIONS: "tuple[Step, ...]" = (_save, _rescale, _blur, _noise, _crop, _colour)
