"""Common corruptions: the conditions under which the test pictures are evaluated again.

Degradations are applied to the canonical pixels that the model sees. So "JPEG 50" compresses that square at quality 50,
not the original file. PNG loses nothing, so its row is a control: no prediction may change.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from artdetect.pictures import content_draw, degradations

if TYPE_CHECKING:
    from artdetect.pictures.degradations import Pixels as Picture

    Degradation = Callable[[Picture, np.random.Generator], Picture]

CLEAN = "clean"


def _save_as(format: Literal["JPEG", "WEBP", "PNG"], quality: int = 75) -> "Degradation":
    return lambda picture, rng: degradations.save(picture, format, quality)


GRID: "dict[str, Degradation]" = {
    "JPEG 90": _save_as("JPEG", 90),
    "JPEG 70": _save_as("JPEG", 70),
    "JPEG 50": _save_as("JPEG", 50),
    "JPEG 30": _save_as("JPEG", 30),
    "WebP 80": _save_as("WEBP", 80),
    "PNG": _save_as("PNG"),
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
    """Apply a corruption to a picture.

    Args:
        canonical: The picture's canonical pixels, uint8 [S, S, 3].
        sha256: The digest of the picture's content, which seeds random corruptions.
        condition: CLEAN, or a key of GRID.
    """
    if condition == CLEAN:
        return canonical
    return GRID[condition](canonical, content_draw.generator(f"{condition} of", sha256))
