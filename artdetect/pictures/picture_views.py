"""What a model judges of a picture: the whole, and crops of large pictures at their native scale."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artdetect.pictures import images, native_crops
from artdetect.pictures.images import Geometry


@dataclass(frozen=True, eq=False)  # eq=False: arrays do not compare to one truth value
class PictureViews:
    """A picture as a model judges it.

    Args:
        whole: Its canonical pixels, uint8 `(S, S, 3)`, see `images.load`.
        crops: Its native crops, uint8 `(k, S, S, 3)`, see `native_crops`. k is 0 where there are none.
        side: The shorter side of the picture in its file, in pixels.
    """

    whole: np.ndarray
    crops: np.ndarray
    side: int


def load(source: Path | bytes, geometry: Geometry, crops: int = 0, sha256: str | None = None) -> PictureViews:
    """Load what a model judges of a picture. The file is read once.

    A JPEG with crops is decoded at full size beside the fraction that gives the whole, so that crops do not change the
    whole.

    Args:
        source: A file, or its content.
        geometry: The square to convert the whole picture to.
        crops: Native crops of a large picture; other pictures have none.
        sha256: The expected digest of the content (hex), if any.

    Raises:
        PictureError: It cannot be read.
        DataError: The content does not match `sha256`.
    """
    with images.with_path(source):
        data = images.content(source, sha256)
        picture = images.opened(data)
        side = min(picture.size)
        size = geometry.size
        upright = images.decoded_for(geometry, picture)
        whole = images.canonical(upright, geometry)
        squares = np.zeros((crops if native_crops.is_large(side, size) else 0, size, size, 3), np.uint8)
        if len(squares):
            full = upright if min(upright.size) == side else images.upright_rgb(images.opened(data))
            digest = sha256 or hashlib.sha256(data).hexdigest()
            for number, (left, top) in enumerate(native_crops.corners(*full.size, size, crops, digest)):
                square = full.crop((left, top, left + size, top + size))
                squares[number] = images.canonical(square, geometry)  # it has that size: nothing is resampled
        return PictureViews(whole, squares, side)


def shorter_side(source: Path | bytes, sha256: str | None = None) -> int:
    """The shorter side of a picture in its file, in pixels, which is the same upright or not. See `load`."""
    with images.with_path(source):
        return min(images.opened(images.content(source, sha256)).size)
