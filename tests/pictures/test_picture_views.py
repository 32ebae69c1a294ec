"""What a model judges of a picture: the whole as everywhere else, crops at full size, and the size of the file."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from artdetect.core import digests
from artdetect.core.errors import DataError, PictureError
from artdetect.pictures import images, native_crops, picture_views
from artdetect.pictures.crop_cache import CropCache
from artdetect.pictures.images import Geometry
from tests.tiny_dataset import jpeg, write

GEOMETRY = Geometry(32, "crop")


def encoded(size: tuple[int, int], **options: object) -> bytes:
    """A file of noise, width x height."""
    noise = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(file := io.BytesIO(), **options)
    return file.getvalue()


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


# --- native crops ---


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((100, 70), {"format": "PNG"}), ((48, 48), {"format": "PNG"}), ((70, 90), {"format": "WEBP"}),
        ((300, 400), {"format": "JPEG"}),  # decoded at a fraction of its size for the whole
    ],
)  # fmt: skip
def test_crops_are_squares_of_the_picture_at_full_size_and_leave_the_whole_as_it_is(
    fit: str, size: tuple[int, int], options: dict
) -> None:
    geometry = Geometry(32, fit)
    content = encoded(size, **options)
    views = picture_views.load(content, geometry, crops=3)
    np.testing.assert_array_equal(views.whole, images.load(content, geometry))
    full = np.asarray(images.decode(content))
    places = native_crops.corners(*size, 32, 3, hashlib.sha256(content).hexdigest())
    for crop, (left, top) in zip(views.crops, places, strict=True):
        np.testing.assert_array_equal(crop, full[top : top + 32, left : left + 32])


def test_a_turned_picture_has_crops_of_the_upright_one() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    content = encoded((100, 60), format="PNG", exif=exif)
    views = picture_views.load(content, GEOMETRY, crops=2)
    full = np.asarray(images.decode(content))
    assert full.shape == (100, 60, 3)
    places = native_crops.corners(60, 100, 32, 2, hashlib.sha256(content).hexdigest())
    for crop, (left, top) in zip(views.crops, places, strict=True):
        np.testing.assert_array_equal(crop, full[top : top + 32, left : left + 32])


@pytest.mark.parametrize(("size", "crops", "number"), [((47, 300), 3, 0), ((48, 300), 3, 3), ((48, 300), 0, 0)])
def test_only_pictures_with_a_long_shorter_side_have_crops(size: tuple[int, int], crops: int, number: int) -> None:
    views = picture_views.load(encoded(size, format="PNG"), GEOMETRY, crops)
    assert views.crops.shape == (number, 32, 32, 3)


def test_the_crop_cache_holds_the_crops_of_large_pictures(tmp_path: Path, roots: Path) -> None:
    files = [write(tmp_path / f"{side}.png", encoded((side, 60), format="PNG")) for side in (40, 48, 90, 60, 47)]
    items = [(digests.file_digest(file), file) for file in files]
    contents = [sha256 for sha256, _ in items]
    cache = CropCache(GEOMETRY, 2)
    with pytest.raises(DataError, match="not in the side cache"):
        cache.large(contents)
    counts: list[tuple[int, int]] = []
    cache.ensure(items, lambda *count: counts.append(count))
    cache.ensure(items, lambda *count: counts.append(count))
    assert counts == [(3, 3)]
    assert cache.large(contents).tolist() == [False, True, True, True, False]
    again = CropCache(GEOMETRY, 2).read(contents[1:4])
    np.testing.assert_array_equal(again, [picture_views.load(file, GEOMETRY, 2).crops for file in files[1:4]])
    with pytest.raises(DataError, match="not in the crop cache"):
        cache.read(contents[:1])


def test_a_picture_that_changed_or_went_is_not_cut(tmp_path: Path, roots: Path) -> None:
    changed = write(tmp_path / "a.png", encoded((60, 60), format="PNG"))
    cache = CropCache(GEOMETRY, 2)
    with pytest.raises(DataError, match=r"a\.png changed since it was indexed"):
        cache.ensure([("0" * 64, changed)])
    with pytest.raises(DataError, match=r"absent\.png: cannot be read.*run the index stage again"):
        cache.ensure([("0" * 64, tmp_path / "absent.png")])


# --- errors ---


def test_what_cannot_be_read_is_refused_as_everywhere() -> None:
    with pytest.raises(PictureError, match="truncated"):
        picture_views.load(jpeg(1)[:-100], GEOMETRY)
