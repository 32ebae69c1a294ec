"""Damaged, hostile and unreadable files give a PictureError with a reason."""

import contextlib
import os
import subprocess
import sys
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from artdetect.core.errors import PictureError
from artdetect.pictures import images

from .drawn_files import CROP, FILES, encode


@pytest.mark.parametrize("name", FILES)
def test_truncated_files_are_picture_errors_at_any_length(name):
    data = FILES[name]
    # Without the last two bytes, these formats lack only the end marker; all pixels are complete.
    whole = 2 if name in ("gif", "jpeg") else 0
    for length in {*range(0, 40), *range(40, len(data), len(data) // 25), *range(len(data) - 25, len(data) - whole)}:
        with pytest.raises(PictureError):
            images.decode(data[:length])


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "bmp", "lzw", "avif", "tiff"])
@settings(max_examples=100, derandomize=True)
@given(data=st.data())
def test_mutated_files_give_a_picture_or_a_picture_error(name, data):
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        # Headers are short, and the most vulnerable part.
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
def test_the_error_gives_the_reason(data, reason, tmp_path):
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


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "huge.bmp"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(PictureError, match="too large"):
        images.decode(path)


def huge_bmp(width, height):
    header = bytearray(encode(Image.new("RGB", (1, 1)), "BMP"))
    header[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return bytes(header)


def test_a_header_that_claims_too_many_pixels_is_refused_before_decoding():
    for width, height in ((60_000, 60_000), (13_350, 13_350)):  # beyond Pillow's limit, and just beyond ours
        with pytest.raises(PictureError, match="too many pixels"):
            images.decode(huge_bmp(width, height))


def test_a_header_that_claims_an_absurd_side_is_refused_before_decoding():
    with pytest.raises(PictureError, match="a side is too long"):
        images.decode(huge_bmp(9, 8_000_000))


def test_no_pillow_warning_leaks():
    # In a new process, because pytest collects warnings. Pillow warns above 89 million pixels.
    code = "import sys; from artdetect.pictures import images; images.opened(sys.stdin.buffer.read())"
    result = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], input=huge_bmp(10_000, 10_000), capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_size_warning_turned_into_an_error_does_not_matter():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.opened(huge_bmp(10_000, 10_000)).size == (10_000, 10_000)
