"""A picture becomes the same upright RGB array, whatever its format, mode and orientation."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from artdetect.core.errors import ConfigError, DataError
from artdetect.pictures import images
from artdetect.pictures.images import Geometry

from .drawn_files import CROP, FILES, SQUASH, draw, encode, pixels_of


@pytest.mark.parametrize("name", ["png", "lossless", "bmp", "tiff", "lzw", "ppm"])
def test_lossless_formats_give_the_pixels_that_were_saved(name):
    np.testing.assert_array_equal(pixels_of(FILES[name]), draw())


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_nearly_the_original_picture(name):
    pixels = pixels_of(FILES[name])
    assert pixels.shape == (60, 80, 3)
    assert np.abs(pixels.astype(int) - draw()).mean() < 25


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"]
)
def test_every_mode_becomes_rgb(mode, tmp_path):
    grey = Image.fromarray(draw()).convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "I":
        picture = Image.fromarray(np.asarray(grey).astype(np.int32) * (2**31 // 256))
    elif mode == "F":
        picture = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    elif mode == "LAB":
        source = ImageCms.createProfile("sRGB")
        picture = ImageCms.profileToProfile(
            Image.fromarray(draw()), source, ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    elif mode == "PA":
        picture = Image.fromarray(draw()).convert("P").convert("PA")
    else:
        picture = Image.fromarray(draw()).convert(mode)
    try:
        data = encode(picture, "TIFF")
    except OSError:  # TIFF has no such mode
        data = encode(picture, "PNG") if mode != "PA" else encode(picture.convert("RGBA"), "PNG")
    result = images.decode(data)
    assert result.mode == "RGB"
    # Averaged over blocks, because mode 1 is dithered.
    shown, expected_grey = (np.asarray(p.convert("L").reduce(10)).astype(int) for p in (result, grey))
    assert np.abs(shown - expected_grey).mean() < 12


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_exif_orientations_give_the_same_upright_picture(orientation, format):
    # Each picture is stored as by a turned camera: with the inverse of the transformation that displays it.
    upright = Image.fromarray(draw(64, 48))
    turn = images._UPRIGHT.get(orientation)
    inverse = {
        Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
    }
    stored = upright if turn is None else upright.transpose(inverse.get(turn, turn))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    pixels = pixels_of(encode(stored, format, exif=exif, **options))
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - draw(64, 48)).max() <= (4 if format == "JPEG" else 0)


def test_a_picture_with_broken_exif_is_decoded():
    for junk in (b"Exif\0\0MM", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(range(200))):
        assert pixels_of(encode(draw(), "JPEG", exif=junk)).shape == (60, 80, 3)


def test_an_impossible_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 99
    np.testing.assert_array_equal(pixels_of(encode(draw(), "PNG", exif=exif)), draw())


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_by_its_range(format):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    data = encode(values, format) if format != "PPM" else b"P5 256 256 65535\n" + values.astype(">u2").tobytes()
    expected = ((values.astype(int) + 128) // 257).astype(np.uint8)  # 0 → 0, 65535 → 255, rounded
    np.testing.assert_array_equal(pixels_of(data)[..., 0], expected)


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
    assert (pixels_of(file.getvalue()) == expected).all()


@pytest.mark.parametrize(("highest", "expected"), [(1.0, 255), (255.0, 255), (65535.0, 255), (1e9, 255)])
def test_float_pictures_are_scaled_by_the_range_they_use(highest, expected):
    values = np.array([[0, highest / 2, highest]], np.float32)
    assert pixels_of(encode(values, "TIFF"))[0, :, 0].tolist() == [0, 128, expected]


def test_a_16_bit_tiff_with_white_as_zero_is_not_inverted():
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, np.full((4, 4), 65535, np.uint16), photometric="miniswhite")
    assert (pixels_of(file.getvalue()) == 0).all()


def test_transparent_pictures_are_put_over_white():
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[..., 3] = [0, 128, 255]
    for format in ("PNG", "TIFF"):
        assert pixels_of(encode(rgba, format))[0].tolist() == [[255, 255, 255], [227, 127, 127], [200, 0, 0]]


def test_transparent_grey_palettes_and_colour_keys_are_put_over_white():
    grey = Image.new("LA", (2, 1), (40, 0))
    assert (pixels_of(encode(grey, "PNG")) == 255).all()
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert pixels_of(encode(palette, "PNG"))[0, 0].tolist() == [10, 20, 30]
    for format in ("PNG", "GIF"):
        assert (pixels_of(encode(palette, format, transparency=1)) == 255).all()
    assert (pixels_of(encode(palette, "PNG", transparency=b"\xff\x00")) == 255).all()
    assert (pixels_of(encode(Image.new("RGB", (2, 1), (1, 2, 3)), "PNG", transparency=(1, 2, 3))) == 255).all()
    assert (pixels_of(encode(Image.new("L", (2, 1), 7), "PNG", transparency=7)) == 255).all()


def test_cmyk_jpeg_keeps_its_colours():
    picture = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # Pillow writes Adobe's inverted form
    red = pixels_of(encode(picture, "JPEG", quality=95))[8, 8]
    assert red[0] > 240
    assert red[1] < 15
    assert red[2] < 15


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert pixels_of(data)[4, 4].tolist() == [255, 0, 0]


def test_colour_profiles_are_converted_and_broken_ones_ignored():
    picture = Image.new("RGB", (4, 4), (255, 0, 0))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert pixels_of(encode(picture, "PNG", icc_profile=srgb))[0, 0].tolist() == [255, 0, 0]
    for broken in (b"junk", srgb.replace(b"s\0R\0G\0B", b"x\0x\0x\0x")[:300], b"\0" * 5000):
        assert pixels_of(encode(picture, "PNG", icc_profile=broken))[0, 0].tolist() == [255, 0, 0]
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # not for an RGB picture
    assert pixels_of(encode(picture, "PNG", icc_profile=lab))[0, 0].tolist() == [255, 0, 0]


def test_a_wide_profile_is_converted_to_srgb():
    # sRGB with the tags of red and green exchanged, so that pure red means pure green.
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for sign, other in ((b"rXYZ", b"TEMP"), (b"gXYZ", b"rXYZ"), (b"TEMP", b"gXYZ")):
        at = srgb.index(sign)
        srgb[at : at + 4] = other
    exchanged = bytes(srgb).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    shown = pixels_of(encode(Image.new("RGB", (4, 4), (255, 0, 0)), "PNG", icc_profile=exchanged))[0, 0]
    assert shown.tolist() == [0, 255, 0]


@pytest.mark.parametrize("geometry", [CROP, SQUASH, Geometry(224, "crop"), Geometry(1, "squash")])
@pytest.mark.parametrize("size", [(80, 60), (60, 80), (33, 32), (5, 3), (1, 200)])
def test_load_gives_the_geometry_from_path_and_bytes_alike(geometry, size, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(draw(*size), "PNG"))
    pixels = images.load(path, geometry)
    assert (pixels.shape, pixels.dtype) == ((geometry.size, geometry.size, 3), np.uint8)
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, images.load(path.read_bytes(), geometry))
    np.testing.assert_array_equal(pixels, images.canonical(images.decode(path), geometry))


@pytest.mark.parametrize("geometry", [CROP, SQUASH, Geometry(224, "crop")])
@pytest.mark.parametrize("size", [(256, 256), (768, 768), (500, 300), (300, 1000)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_decoded_at_a_reduced_size_is_close_to_a_full_decode(geometry, size, mode):
    blocks = np.random.default_rng(size).integers(0, 255, (12, 12, 3)).astype(np.uint8)
    smooth = Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC).convert(mode)
    data = encode(smooth, "JPEG", quality=90)
    whole = images.canonical(images.decode(data), geometry)
    assert np.abs(images.load(data, geometry).astype(int) - whole).mean() < 1


def test_a_turned_jpeg_is_decoded_at_a_reduced_size_and_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = images.load(encode(draw(300, 300), "JPEG"), CROP)
    turned = images.load(encode(np.rot90(draw(300, 300)), "JPEG", exif=exif), CROP)
    assert np.abs(plain.astype(int) - turned).mean() < 6


def test_only_pictures_much_larger_than_needed_are_decoded_at_a_reduced_size():
    for side, expected in ((47, 47), (95, 95), (96, 48), (384, 48), (3000, 375)):
        picture = images.opened(encode(draw(side, side), "JPEG"))
        images.draft(picture, 48)
        assert picture.size == (expected, expected)


def test_crop_is_a_resize_of_the_short_side_and_a_centre_crop():
    picture = Image.fromarray(draw(600, 300))
    expected = picture.resize((64, 32), Image.Resampling.LANCZOS).crop((16, 0, 48, 32))
    np.testing.assert_array_equal(images.canonical(picture, CROP), np.asarray(expected))


def test_squash_is_a_plain_resize():
    picture = Image.fromarray(draw())
    expected = picture.resize((32, 32), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(images.canonical(picture, SQUASH), np.asarray(expected))


def test_a_square_picture_of_the_right_size_is_unchanged():
    pixels = draw(32, 32)
    for geometry in (CROP, SQUASH):
        np.testing.assert_array_equal(images.canonical(Image.fromarray(pixels), geometry), pixels)


def test_a_changed_file_is_detected_by_its_digest(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(FILES["png"])
    images.load(path, CROP, hashlib.sha256(FILES["png"]).hexdigest())
    with pytest.raises(DataError, match=r"a\.png changed since it was indexed"):
        images.load(path, CROP, hashlib.sha256(b"other").hexdigest())


def test_artwork_keeps_the_aspect_and_never_enlarges():
    assert images.artwork(FILES["png"], 40).size == (40, 30)
    assert images.artwork(FILES["png"], 400).size == (80, 60)
    assert images.artwork(encode(draw(300, 1), "PNG"), 30).size == (30, 1)


def test_to_input_scales_once():
    scaled = images.to_input(np.array([[[0, 51, 255]]], np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled[0, 0], np.array([0, 0.2, 1], np.float32))
    with pytest.raises(TypeError, match="uint8"):
        images.to_input(scaled)


@pytest.mark.parametrize("arguments", [(0, "crop"), (-1, "crop"), (1.5, "crop"), (True, "crop"), (32, "stretch")])
def test_an_impossible_geometry_says_what_it_received(arguments):
    with pytest.raises(ConfigError, match="Received"):
        Geometry(*arguments)


def test_a_geometry_can_be_restored_from_its_dict():
    assert Geometry(**CROP.as_dict()) == CROP


# --- contrast ---


def test_contrast_is_the_standard_deviation_of_grey_values() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (31, 33, 3), np.uint8)
    grey = np.asarray(Image.fromarray(noise).convert("L"), np.float64)
    assert images.contrast(noise) == pytest.approx(grey.std(), rel=1e-12)
    halves = np.zeros((4, 4, 3), np.uint8)
    assert images.contrast(halves) == 0
    halves[:2] = 255
    assert images.contrast(halves) == 127.5
    assert images.contrast(np.full((5, 5, 3), (200, 30, 90), np.uint8)) == 0  # one colour
