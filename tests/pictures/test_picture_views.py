"""What a model judges of a picture: the same pixels as everywhere else, and the size that the file has."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from artdetect.core.errors import PictureError
from artdetect.pictures import images, picture_views
from artdetect.pictures.images import Geometry
from tests.tiny_dataset import jpeg

GEOMETRY = Geometry(32, "crop")


@pytest.mark.parametrize("side", [7, 32, 47, 300])  # the last JPEG is decoded at a fraction of its size
def test_the_whole_has_the_canonical_pixels_and_the_side_is_that_of_the_file(side: int) -> None:
    views = picture_views.load(content := jpeg(1, side=side), GEOMETRY)
    np.testing.assert_array_equal(views.whole, images.load(content, GEOMETRY))
    assert views.side == side


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_side_is_the_shorter_one_of_a_turned_picture_too(format: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (90, 40)).save(file := io.BytesIO(), format, exif=exif)
    assert picture_views.load(file.getvalue(), GEOMETRY).side == 40


def test_what_cannot_be_read_is_refused_as_everywhere() -> None:
    with pytest.raises(PictureError, match="truncated"):
        picture_views.load(jpeg(1)[:-100], GEOMETRY)
