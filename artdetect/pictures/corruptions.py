"""What the web does to pictures on their way: the conditions under which the test pictures are seen again.

Degradations are applied to the canonical pixels that the model sees, those of a file too: "JPEG 50" is what saving at
quality 50 does to that square, not to the original in its own size. Saving as PNG loses nothing there, so its row is a
control: no verdict may change.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from artdetect.pictures import degradations

if TYPE_CHECKING:
    from artdetect.pictures.degradations import Pixels as Picture

    Degradation = Callable[[Picture, np.random.Generator], Picture]

CLEAN = "clean"


def _saved(format: Literal["JPEG", "WEBP", "PNG"], quality: int = 75) -> "Degradation":
    return lambda picture, rng: degradations.save(picture, format, quality)


GRID: "dict[str, Degradation]" = {
    "JPEG 90": _saved("JPEG", 90),
    "JPEG 70": _saved("JPEG", 70),
    "JPEG 50": _saved("JPEG", 50),
    "JPEG 30": _saved("JPEG", 30),
    "WebP 80": _saved("WEBP", 80),
    "PNG": _saved("PNG"),
    "resize 1/2": lambda picture, rng: degradations.rescale(picture, 1 / 2),
    "resize 1/4": lambda picture, rng: degradations.rescale(picture, 1 / 4),
    "blur 1": lambda picture, rng: degradations.blur(picture, 1),
    "blur 2": lambda picture, rng: degradations.blur(picture, 2),
    "noise 0.05": lambda picture, rng: degradations.noise(picture, 0.05, rng),
    "noise 0.1": lambda picture, rng: degradations.noise(picture, 0.1, rng),
    "crop 0.8": lambda picture, rng: degradations.crop(picture, 0.8, rng.random(), rng.random()),
    "native crop 0.8": lambda picture, rng: degradations.crop_native(picture, 0.8, rng.random(), rng.random()),
    "greyscale": lambda picture, rng: degradations.colour(picture, 1, 1, 0),
}


def corrupt(canonical: "Picture", sha256: str, condition: str) -> "Picture":
    """Canonical pixels uint8 [S, S, 3] under a condition, CLEAN or a name in GRID; chance depends on the content."""
    if condition == CLEAN:
        return canonical
    seed = hashlib.sha256(f"{condition} of {sha256}".encode()).digest()
    return GRID[condition](canonical, np.random.default_rng(int.from_bytes(seed[:8], "big")))
