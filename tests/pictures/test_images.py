"""A picture becomes the same upright RGB array whatever its file looks like, and bad files fail in one way."""

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from artdetect.core.errors import ConfigError, DataError, PictureError
from artdetect.pictures import images
from artdetect.pictures.images import Geometry

CROP = Geometry(size=32, fit="crop")
SQUASH = Geometry(size=32, fit="squash")


def drawn(width=80, height=60, seed=0):
    """A coloured picture without any symmetry: uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).integers(0, 30, (height, width, 3))
    base = np.stack([x * 200 // width, y * 200 // height, (x * y) % 200], axis=-1)
    return (base + noise).astype(np.uint8)


def encoded(picture, format, **options):
    file = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(file, format, **options)
    return file.getvalue()


def array(source):
    return np.asarray(images.decode(source))


FILES = {
    "jpeg": encoded(drawn(), "JPEG"),
    "progressive": encoded(drawn(), "JPEG", progressive=True),
    "cmyk": encoded(Image.fromarray(drawn()).convert("CMYK"), "JPEG"),
    "png": encoded(drawn(), "PNG"),
    "palette": encoded(Image.fromarray(drawn()).quantize(), "PNG"),
    "webp": encoded(drawn(), "WEBP"),
    "lossless": encoded(drawn(), "WEBP", lossless=True),
    "gif": encoded(drawn(), "GIF"),
    "bmp": encoded(drawn(), "BMP"),
    "tiff": encoded(drawn(), "TIFF"),
    "lzw": encoded(drawn(), "TIFF", compression="tiff_lzw"),
    "avif": encoded(drawn(), "AVIF"),
    "ppm": encoded(drawn(), "PPM"),
}


@pytest.mark.parametrize("name", ["png", "lossless", "bmp", "tiff", "lzw", "ppm"])
def test_lossless_formats_give_the_pixels_that_were_saved(name):
    np.testing.assert_array_equal(array(FILES[name]), drawn())


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_nearly_the_drawn_picture(name):
    pixels = array(FILES[name])
    assert pixels.shape == (60, 80, 3)
    assert np.abs(pixels.astype(int) - drawn()).mean() < 25


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"]
)
def test_every_mode_becomes_rgb(mode, tmp_path):
    grey = Image.fromarray(drawn()).convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "I":
        picture = Image.fromarray(np.asarray(grey).astype(np.int32) * (2**31 // 256))
    elif mode == "F":
        picture = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    elif mode == "LAB":
        source = ImageCms.createProfile("sRGB")
        picture = ImageCms.profileToProfile(
            Image.fromarray(drawn()), source, ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    elif mode == "PA":
        picture = Image.fromarray(drawn()).convert("P").convert("PA")
    else:
        picture = Image.fromarray(drawn()).convert(mode)
    try:
        data = encoded(picture, "TIFF")
    except OSError:  # TIFF has no such mode
        data = encoded(picture, "PNG") if mode != "PA" else encoded(picture.convert("RGBA"), "PNG")
    result = images.decode(data)
    assert result.mode == "RGB"
    # Averaged over blocks, because mode 1 is dithered.
    shown, drawn_grey = (np.asarray(p.convert("L").reduce(10)).astype(int) for p in (result, grey))
    assert np.abs(shown - drawn_grey).mean() < 12


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_exif_orientations_give_the_same_upright_picture(orientation, format):
    # Each picture is stored as the camera would have held it: the inverse turn of the one that displays it.
    upright = Image.fromarray(drawn(64, 48))
    turn = images._UPRIGHT.get(orientation)
    inverse = {
        Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
    }
    stored = upright if turn is None else upright.transpose(inverse.get(turn, turn))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    pixels = array(encoded(stored, format, exif=exif, **options))
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - drawn(64, 48)).max() <= (4 if format == "JPEG" else 0)


def test_a_broken_exif_block_does_not_cost_the_picture():
    for junk in (b"Exif\0\0MM", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(range(200))):
        assert array(encoded(drawn(), "JPEG", exif=junk)).shape == (60, 80, 3)


def test_an_impossible_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 99
    np.testing.assert_array_equal(array(encoded(drawn(), "PNG", exif=exif)), drawn())


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_by_its_range(format):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    data = encoded(values, format) if format != "PPM" else b"P5 256 256 65535\n" + values.astype(">u2").tobytes()
    expected = ((values.astype(int) + 128) // 257).astype(np.uint8)  # 0 → 0, 65535 → 255, rounded
    np.testing.assert_array_equal(array(data)[..., 0], expected)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.uint16(65535), 255),
        (np.int16(-5), 0),
        (np.int16(32767), 255),
        (np.int32(2**30), 128),
        (np.float32(0.5), 128),
        (np.float32(np.nan), 0),
    ],
)
def test_tiff_number_types_are_scaled_by_their_range(values, expected, byteorder):
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, np.full((4, 4), values), byteorder=byteorder, photometric="minisblack")
    assert (array(file.getvalue()) == expected).all()


@pytest.mark.parametrize(("highest", "expected"), [(1.0, 255), (255.0, 255), (65535.0, 255), (1e9, 255)])
def test_float_pictures_are_scaled_by_the_range_they_use(highest, expected):
    values = np.array([[0, highest / 2, highest]], np.float32)
    assert array(encoded(values, "TIFF"))[0, :, 0].tolist() == [0, 128, expected]


def test_a_sixteen_bit_tiff_whose_zero_is_white_is_not_a_negative():
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, np.full((4, 4), 65535, np.uint16), photometric="miniswhite")
    assert (array(file.getvalue()) == 0).all()


def test_transparency_is_laid_over_white():
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[..., 3] = [0, 128, 255]
    for format in ("PNG", "TIFF"):
        assert array(encoded(rgba, format))[0].tolist() == [[255, 255, 255], [227, 127, 127], [200, 0, 0]]


def test_transparent_grey_palette_and_colour_keys_are_laid_over_white():
    grey = Image.new("LA", (2, 1), (40, 0))
    assert (array(encoded(grey, "PNG")) == 255).all()
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert array(encoded(palette, "PNG"))[0, 0].tolist() == [10, 20, 30]
    for format in ("PNG", "GIF"):
        assert (array(encoded(palette, format, transparency=1)) == 255).all()
    assert (array(encoded(palette, "PNG", transparency=b"\xff\x00")) == 255).all()
    assert (array(encoded(Image.new("RGB", (2, 1), (1, 2, 3)), "PNG", transparency=(1, 2, 3))) == 255).all()
    assert (array(encoded(Image.new("L", (2, 1), 7), "PNG", transparency=7)) == 255).all()


def test_cmyk_jpeg_keeps_its_colours():
    picture = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # Pillow writes Adobe's inverted form
    red = array(encoded(picture, "JPEG", quality=95))[8, 8]
    assert red[0] > 240
    assert red[1] < 15
    assert red[2] < 15


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert array(data)[4, 4].tolist() == [255, 0, 0]


def test_colour_profiles_are_converted_and_broken_ones_ignored():
    picture = Image.new("RGB", (4, 4), (255, 0, 0))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert array(encoded(picture, "PNG", icc_profile=srgb))[0, 0].tolist() == [255, 0, 0]
    for broken in (b"junk", srgb.replace(b"s\0R\0G\0B", b"x\0x\0x\0x")[:300], b"\0" * 5000):
        assert array(encoded(picture, "PNG", icc_profile=broken))[0, 0].tolist() == [255, 0, 0]
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # fits no RGB picture
    assert array(encoded(picture, "PNG", icc_profile=lab))[0, 0].tolist() == [255, 0, 0]


def test_a_wide_profile_is_brought_to_srgb():
    # sRGB with red and green exchanged in its tags: a profile in which pure red means pure green.
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for sign, other in ((b"rXYZ", b"TEMP"), (b"gXYZ", b"rXYZ"), (b"TEMP", b"gXYZ")):
        at = srgb.index(sign)
        srgb[at : at + 4] = other
    exchanged = bytes(srgb).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    shown = array(encoded(Image.new("RGB", (4, 4), (255, 0, 0)), "PNG", icc_profile=exchanged))[0, 0]
    assert shown.tolist() == [0, 255, 0]


@pytest.mark.parametrize("name", FILES)
def test_truncated_files_are_picture_errors_at_any_length(name):
    data = FILES[name]
    # These lack only their end mark there: all the pixels are whole.
    whole = 2 if name in ("gif", "jpeg") else 0
    for length in {*range(0, 40), *range(40, len(data), len(data) // 25), *range(len(data) - 25, len(data) - whole)}:
        with pytest.raises(PictureError):
            images.decode(data[:length])


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "bmp", "lzw", "avif", "tiff"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(data=st.data())
def test_mutated_files_give_a_picture_or_a_picture_error(name, data):
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        # Headers are short and where most goes wrong.
        at = data.draw(st.integers(0, min(200, len(content) - 1)) | st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    message = ""
    try:
        assert images.load(bytes(content), CROP).shape == (32, 32, 3)
    except PictureError as error:
        message = str(error)
    assert "\n" not in message
    assert " at 0x" not in message


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_picture_or_a_picture_error(data):
    with contextlib.suppress(PictureError):
        images.decode(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"\n  <svg xmlns='http://www.w3.org/2000/svg'/>", "markup"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture in a supported format"),
        (b"hello", "not a picture in a supported format"),
        (FILES["jpeg"][:900], "truncated"),
        (FILES["png"][:-30], "truncated"),
        (FILES["jpeg"][:20], "header"),
    ],
)
def test_the_reason_is_in_plain_words(data, reason, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    with pytest.raises(PictureError, match=reason) as caught:
        images.decode(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(PictureError, match=f"^{str(caught.value).removeprefix(f'{path}: ').split('(')[0]}"):
        images.decode(data)


def test_unreadable_paths_are_picture_errors(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, reason in (
        (tmp_path, "not a regular file"),
        (tmp_path / "pipe.jpg", "not a regular file"),
        (tmp_path / "none.jpg", "no such file"),
    ):
        with pytest.raises(PictureError, match=reason):
            images.decode(path)


def test_a_file_too_large_to_hold_is_not_read(tmp_path):
    path = tmp_path / "huge.bmp"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(PictureError, match="too large"):
        images.decode(path)


def huge_bmp(width, height):
    header = bytearray(encoded(Image.new("RGB", (1, 1)), "BMP"))
    header[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return bytes(header)


def test_a_header_that_claims_too_many_pixels_is_refused_before_decoding():
    for width, height in ((60_000, 60_000), (13_350, 13_350)):  # beyond Pillow's own limit, and just beyond ours
        with pytest.raises(PictureError, match="too many pixels"):
            images.decode(huge_bmp(width, height))


def test_a_header_that_claims_an_absurd_side_is_refused_before_decoding():
    with pytest.raises(PictureError, match="a side is too long"):
        images.decode(huge_bmp(9, 8_000_000))


def test_no_pillow_warning_leaks():
    # In its own process, because pytest collects warnings itself. 100 million pixels: Pillow warns above 89.
    code = "import sys; from artdetect import images; images.opened(sys.stdin.buffer.read())"
    result = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], input=huge_bmp(10_000, 10_000), capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_bomb_warning_turned_into_an_error_does_not_change_the_verdict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.opened(huge_bmp(10_000, 10_000)).size == (10_000, 10_000)


@pytest.mark.parametrize("geometry", [CROP, SQUASH, Geometry(224, "crop"), Geometry(1, "squash")])
@pytest.mark.parametrize("size", [(80, 60), (60, 80), (33, 32), (5, 3), (1, 200)])
def test_load_gives_the_geometry_from_path_and_bytes_alike(geometry, size, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(drawn(*size), "PNG"))
    pixels = images.load(path, geometry)
    assert (pixels.shape, pixels.dtype) == ((geometry.size, geometry.size, 3), np.uint8)
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, images.load(path.read_bytes(), geometry))
    np.testing.assert_array_equal(pixels, images.canonical(images.decode(path), geometry))


@pytest.mark.parametrize("geometry", [CROP, SQUASH, Geometry(224, "crop")])
@pytest.mark.parametrize("size", [(256, 256), (768, 768), (500, 300), (300, 1000)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_decoded_small_is_the_whole_one_resized(geometry, size, mode):
    blocks = np.random.default_rng(size).integers(0, 255, (12, 12, 3)).astype(np.uint8)
    smooth = Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC).convert(mode)
    data = encoded(smooth, "JPEG", quality=90)
    whole = images.canonical(images.decode(data), geometry)
    assert np.abs(images.load(data, geometry).astype(int) - whole).mean() < 1


def test_a_turned_jpeg_is_decoded_small_and_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = images.load(encoded(drawn(300, 300), "JPEG"), CROP)
    turned = images.load(encoded(np.rot90(drawn(300, 300)), "JPEG", exif=exif), CROP)
    assert np.abs(plain.astype(int) - turned).mean() < 6


def test_only_what_is_much_larger_than_needed_is_decoded_small():
    for side, expected in ((47, 47), (95, 95), (96, 48), (384, 48), (3000, 375)):
        picture = images.opened(encoded(drawn(side, side), "JPEG"))
        images.draft(picture, 48)
        assert picture.size == (expected, expected)


def test_crop_is_a_resize_of_the_short_side_and_a_centre_crop():
    picture = Image.fromarray(drawn(600, 300))
    expected = picture.resize((64, 32), Image.Resampling.LANCZOS).crop((16, 0, 48, 32))
    np.testing.assert_array_equal(images.canonical(picture, CROP), np.asarray(expected))


def test_squash_is_a_plain_resize():
    picture = Image.fromarray(drawn())
    expected = picture.resize((32, 32), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(images.canonical(picture, SQUASH), np.asarray(expected))


def test_a_square_picture_of_the_right_size_is_left_alone():
    pixels = drawn(32, 32)
    for geometry in (CROP, SQUASH):
        np.testing.assert_array_equal(images.canonical(Image.fromarray(pixels), geometry), pixels)


def test_a_changed_file_is_noticed_by_its_digest(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(FILES["png"])
    images.load(path, CROP, hashlib.sha256(FILES["png"]).hexdigest())
    with pytest.raises(DataError, match=r"a\.png changed since it was indexed"):
        images.load(path, CROP, hashlib.sha256(b"other").hexdigest())


def test_artwork_keeps_the_aspect_and_never_enlarges():
    assert images.artwork(FILES["png"], 40).size == (40, 30)
    assert images.artwork(FILES["png"], 400).size == (80, 60)
    assert images.artwork(encoded(drawn(300, 1), "PNG"), 30).size == (30, 1)


def test_to_input_scales_once():
    scaled = images.to_input(np.array([[[0, 51, 255]]], np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled[0, 0], np.array([0, 0.2, 1], np.float32))
    with pytest.raises(TypeError, match="uint8"):
        images.to_input(scaled)


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPG", "b.jpeg", "c.Png", "d.webp", "e.gif", "f.bmp", "g.tif", "h.TIFF", "i.avif"]
)
def test_pictures_are_candidates(name):
    assert images.is_candidate(name)
    assert images.is_candidate(f"folder/{name}")


@pytest.mark.parametrize(
    "name", [".a.jpg", "._a.jpg", "a.txt", "jpg", ".jpg", "a.jpg.part", "Thumbs.db", "x/._a.jpg", ""]
)
def test_other_files_are_not_candidates(name):
    assert not images.is_candidate(name)


@pytest.mark.parametrize("arguments", [(0, "crop"), (-1, "crop"), (1.5, "crop"), (True, "crop"), (32, "stretch")])
def test_an_impossible_geometry_says_what_it_received(arguments):
    with pytest.raises(ConfigError, match="Received"):
        Geometry(*arguments)


def test_a_geometry_survives_a_model_file():
    assert Geometry(**CROP.as_dict()) == CROP
