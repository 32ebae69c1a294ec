"""Chunks of a PNG that tell about a picture and have no part in its pixels."""

import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NOTES = (b"caBX", b"tEXt", b"zTXt", b"iTXt")  # Content Credentials and text


def without_damaged(data: bytes) -> bytes:
    """The file without those notes before its pixels whose checksum is wrong: Pillow would refuse the picture.

    Args:
        data: The content of a file; one that is no PNG, or has no such damage, comes back as it is.
    """
    if not data.startswith(_SIGNATURE):
        return data
    kept, position, start = [], len(_SIGNATURE), 0
    while (end := position + 12 + int.from_bytes(data[position : position + 4])) <= len(data):
        kind = data[position + 4 : position + 8]
        if kind == b"IDAT":
            break
        if kind in _NOTES and zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            kept.append(data[start:position])
            start = end
        position = end
    return b"".join([*kept, data[start:]]) if kept else data
