"""Limits on the work of decoding a picture, beside its pixels: they are checked before any decoder sees the file.

A small file can ask for hours of work. A progressive JPEG repeats a pass over all its pixels for each of its scans,
and each scan costs the file only some bytes; Pillow reads many small parts of a file in Python. No program that writes
pictures comes near these limits.
"""

import re
import struct

from artdetect.core.errors import PictureError

MAX_SCANS = 64  # of a JPEG; libjpeg writes 10 at most, mozjpeg some more, libtiff accepts 100
MAX_SCANNED = 2_848_000_000  # pixels times scans of a JPEG: 16 scans of the largest picture, tens of seconds at most
MAX_EXIF_SEGMENTS = 64  # of a JPEG, 4 MB; Pillow appends them to each other one by one
MAX_PARTS = 10_000  # of any file, plus one for every PART_BYTES
PART_BYTES = 512  # libpng writes parts of 8,192 bytes
GIF_PART_BYTES = 32  # its parts have up to 255 bytes; text in XMP, read as their lengths, gives about 80
MAX_STRIPS = 100_000  # strips or tiles of a TIFF
MAX_SLOW_BYTES = 8 * 2**20  # of files that Pillow decodes in Python: PPM as text, BMP with run lengths

_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")  # of JPEG, without restarts and escaped bytes
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of JPEG that begin a frame, with its size
_TIFF = {b"II*\0": ("<", "HHII", 4), b"MM\0*": (">", "HHII", 4), b"II+\0": ("<", "HHQQ", 8), b"MM\0+": (">", "HHQQ", 8)}
_PPM_TEXT = (b"P1", b"P2", b"P3")
_BMP_RUNS = (b"\1\0\0\0", b"\2\0\0\0")  # its field "compression"
_STRIPS = (273, 324)  # StripOffsets, TileOffsets


def check(data: bytes) -> None:
    """Check the content of a picture file. Damaged files pass: the decoder will say what is wrong with them.

    Raises:
        PictureError: Decoding it would cost more than any picture that a program writes.
    """
    if data.startswith(b"\xff\xd8"):
        _check_jpeg(data)
    elif data.startswith(b"\x89PNG"):
        _check_png(data)
    elif data.startswith(b"GIF8"):
        _check_gif(data)
    elif data[:4] in _TIFF:
        _check_tiff(data)
    elif len(data) > MAX_SLOW_BYTES and (data[:2] in _PPM_TEXT or (data[:2] == b"BM" and data[30:34] in _BMP_RUNS)):
        raise PictureError(f"too slow to decode (PPM as text or a BMP with run lengths, over {MAX_SLOW_BYTES:,} bytes)")


def _check_jpeg(data: bytes) -> None:
    """Count segments and scans as libjpeg finds them (ITU-T T.81, annex B)."""
    parts = scans = exif = pixels = 0
    position = 2
    while marker := _MARKER.search(data, position):
        code, position = marker[1][0], marker.end()
        parts += 1
        _check_parts(parts, data, PART_BYTES)
        if code == 0xD9:  # end of image
            return
        if code in (0x01, 0xD8):  # they have no content
            continue
        scans += code == 0xDA
        if code in _FRAMES:
            height, width = data[position + 3 : position + 5], data[position + 5 : position + 7]
            pixels = max(pixels, int.from_bytes(height) * int.from_bytes(width))
        exif += code == 0xE1 and data.startswith(b"Exif\0\0", position + 2)
        if scans > MAX_SCANS:
            raise PictureError(f"a JPEG of more than {MAX_SCANS} scans, which no program writes: too slow to decode")
        if scans * pixels > MAX_SCANNED:
            raise PictureError(f"a JPEG of {scans} scans or more of {pixels:,} pixels: too slow to decode")
        if exif > MAX_EXIF_SEGMENTS:
            raise PictureError(f"a JPEG of more than {MAX_EXIF_SEGMENTS} EXIF segments, which no program writes")
        position += max(2, int.from_bytes(data[position : position + 2]))


def _check_png(data: bytes) -> None:
    """Count the chunks."""
    parts, position = 0, 8
    while position < len(data):
        parts += 1
        _check_parts(parts, data, PART_BYTES)
        position += 12 + int.from_bytes(data[position : position + 4])


def _check_gif(data: bytes) -> None:
    """Count the blocks up to the second frame: Pillow decodes the first, and looks whether there is another."""
    if len(data) < 13:
        return
    parts, frames, position = 0, 0, 13 + _colours(data[10])
    while position < len(data) and frames < 2 and data[position] in b"!,":
        if data[position] == ord("!"):
            position += 2
        else:
            frames += 1
            flags = data[position + 9 : position + 10]
            position += 11 + (_colours(flags[0]) if flags else 0)
        while position < len(data) and (size := data[position]):
            parts += 1
            _check_parts(parts, data, GIF_PART_BYTES)
            position += 1 + size
        position += 1


def _colours(flags: int) -> int:
    """The bytes of a GIF's colour table."""
    return 3 << (flags & 7) + 1 if flags & 128 else 0


def _check_tiff(data: bytes) -> None:
    """Count the strips or tiles of the first directory."""
    order, entry, width = _TIFF[data[:4]]
    layout = struct.Struct(order + entry)
    number = "H" if width == 4 else "Q"
    try:
        (start,) = struct.unpack_from(order + ("I" if width == 4 else "Q"), data, width)
        (entries,) = struct.unpack_from(order + number, data, start)
    except (struct.error, OverflowError):  # of BigTIFF, offsets have 64 bits
        return
    start += struct.calcsize(order + number)
    entries = min(entries, (len(data) - start) // layout.size)
    _check_parts(entries, data, PART_BYTES)
    for row in range(entries):
        tag, _, count, _ = layout.unpack_from(data, start + row * layout.size)
        if tag in _STRIPS and count > MAX_STRIPS:
            raise PictureError(f"a TIFF of {count:,} strips or tiles (the limit is {MAX_STRIPS:,})")


def _check_parts(parts: int, data: bytes, part_bytes: int) -> None:
    if parts > MAX_PARTS + len(data) // part_bytes:
        raise PictureError("made of too many small parts, as no program writes it: too slow to decode")
