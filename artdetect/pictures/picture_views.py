"""What a model judges of a picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artdetect.pictures import images
from artdetect.pictures.images import Geometry


@dataclass(frozen=True, eq=False)  # eq=False: arrays do not compare to one truth value
class PictureViews:
    """A picture as a model judges it.

    Args:
        whole: Its canonical pixels, uint8 `(S, S, 3)`, see `images.load`.
        side: The shorter side of the picture in its file, in pixels.
    """

    whole: np.ndarray
    side: int


def load(source: Path | bytes, geometry: Geometry) -> PictureViews:
    """Load what a model judges of a picture. The file is read once.

    Args:
        source: A file, or its content.
        geometry: The square to convert the whole picture to.

    Raises:
        PictureError: It cannot be read.
    """
    with images.with_path(source):
        picture = images.opened(images.read(source))
        side = min(picture.size)  # upright or not, the shorter side is the same
        return PictureViews(images.canonical(images.decoded_for(geometry, picture), geometry), side)
