"""PNG files whose notes are damaged and whose pixels are whole."""

import zlib

import numpy as np
import pytest

from artdetect.core.errors import PictureError
from artdetect.pictures import images, png_notes

from .declared_files import FILES as SIGNED
from .drawn_files import FILES

AFTER_HEADER = 33  # bytes: signature and IHDR


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    return data[:AFTER_HEADER] + b"".join(chunks) + data[AFTER_HEADER:]


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(images.decode(data))


@pytest.mark.parametrize("kind", [b"caBX", b"tEXt", b"zTXt", b"iTXt"])
def test_a_damaged_note_is_left_out_and_the_pixels_are_those_without_it(kind: bytes) -> None:
    plain, note = FILES["png"], chunk(kind, b"Comment\0" + bytes(50))
    damaged = with_chunks(plain, flipped(note, 20), chunk(b"tEXt", b"Software\0me"), flipped(note, -1))
    np.testing.assert_array_equal(pixels(damaged), pixels(plain))
    assert images.opened(damaged).info["Software"] == "me"


def test_whole_files_are_not_touched() -> None:
    for data in (FILES["png"], FILES["jpeg"], SIGNED["C2PA in PNG"], b"", FILES["png"][:20]):
        assert png_notes.without_damaged(data) is data


def test_a_manifest_with_a_changed_bit_leaves_the_picture() -> None:
    signed = SIGNED["C2PA in PNG"]
    np.testing.assert_array_equal(pixels(flipped(signed, signed.index(b"caBX") + 100)), pixels(signed))


@pytest.mark.parametrize("kind", [b"PLTE", b"gAMA", b"iCCP", b"eXIf"])
def test_other_damaged_chunks_are_an_error(kind: bytes) -> None:
    damaged = with_chunks(FILES["png"], flipped(chunk(kind, bytes(9)), -1))
    assert png_notes.without_damaged(damaged) is damaged
    with pytest.raises(PictureError):
        images.decode(damaged)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_damaged_pixels_are_an_error(kind: bytes) -> None:
    with pytest.raises(PictureError):
        images.decode(flipped(FILES["png"], FILES["png"].index(kind) + 4))


def test_a_note_that_the_file_ends_within_is_an_error() -> None:
    data = with_chunks(FILES["png"], chunk(b"caBX", bytes(1000)))[: AFTER_HEADER + 500]
    assert png_notes.without_damaged(data) is data
    with pytest.raises(PictureError):
        images.decode(data)
