"""Small files that would cost seconds to hours are refused before anything is decoded; no real program's file is."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artdetect.core.errors import PictureError
from artdetect.index.file_metadata import file_metadata
from artdetect.pictures import decode_limits, images

from . import slow_files
from .drawn_files import CROP, FILES

MB = 2**20
REFUSED = {
    "scans": (lambda: slow_files.scans(decode_limits.MAX_SCANS + 1), "scans"),
    "scans of a large picture": (lambda: slow_files.scans(17, 13_000), "17 scans or more of 169,000,000 pixels"),
    "segments": (lambda: slow_files.jpeg_parts(11_000), "small parts"),
    "EXIF": (lambda: slow_files.jpeg_exif(decode_limits.MAX_EXIF_SEGMENTS + 1), "EXIF segments"),
    "chunks": (lambda: slow_files.png_parts(11_000), "small parts"),
    "comment": (lambda: slow_files.gif_parts(11_000), "small parts"),
    "strips": (lambda: slow_files.tiff_strips(100_001), "strips"),
    "strips, big-endian": (lambda: slow_files.tiff_strips(100_001, ">"), "strips"),
    "strips of BigTIFF": (lambda: slow_files.tiff_strips(100_001, "<", big=True), "strips"),
    "run lengths": (lambda: slow_files.bmp_runs(8 * MB + 2), "too slow"),
    "pixels as text": (lambda: slow_files.ppm_text(4_195_000), "too slow"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_asks_for_too_much_work_is_refused_unopened(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, reason = REFUSED[name]
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(PictureError, match=reason):
        images.load(make(), CROP)


@pytest.mark.parametrize("start", [8, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("order", "<>")
def test_a_directory_beyond_the_file_is_for_the_decoder_to_refuse(order: str, start: int) -> None:
    head = {"<": b"II+\0", ">": b"MM\0+"}[order] + struct.pack(f"{order}HHQ", 8, 0, start)
    decode_limits.check(head)
    with pytest.raises(PictureError):
        images.decode(head)


def test_index_has_a_row_with_the_reason(tmp_path: Path) -> None:
    (file := tmp_path / "slow.jpg").write_bytes(slow_files.scans(1000))
    row = file_metadata(file)
    assert not row["ok"]
    assert row["error"] == "a JPEG of more than 64 scans, which no program writes: too slow to decode"


@pytest.mark.parametrize("number", [10, decode_limits.MAX_SCANS])
def test_the_counted_scans_are_those_that_libjpeg_decodes(number: int) -> None:
    assert np.unique(np.asarray(images.decode(slow_files.scans(number)))).tolist() == [128]


@pytest.mark.parametrize(
    "content",
    [
        slow_files.jpeg_parts(9_000),
        slow_files.jpeg_exif(5),
        slow_files.png_parts(9_000),
        slow_files.png_text(40),
        slow_files.gif_parts(9_000),
        slow_files.tiff_strips(5_000),
        slow_files.tiff_strips(5_000, "<", big=True),
        slow_files.tiff_strips(5_000, ">"),
        slow_files.ppm_text(50_000),
        slow_files.encoded("JPEG", progressive=True, quality=100),
        slow_files.encoded("GIF", save_all=True, append_images=[Image.new("L", (64, 64), n) for n in range(90)]),
        *FILES.values(),
    ],
)
def test_what_programs_write_is_decoded(content: bytes) -> None:
    assert images.load(content, CROP).shape == (32, 32, 3)


def test_text_that_inflates_without_end_is_refused() -> None:
    with pytest.raises(PictureError, match="Too much memory"):
        images.load(slow_files.png_text(70), CROP)
