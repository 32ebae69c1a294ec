"""Small files that ask a decoder for much work, each written by hand: the size of the work is the argument."""

import io
import struct
import zlib

from PIL import Image


def encoded(format: str, **options: object) -> bytes:
    """A small picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(file, format, **options)
    return file.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def scans(number: int, side: int = 64) -> bytes:
    """A progressive JPEG, grey, with this number of scans, all but the first empty: runs of blocks without a value."""
    blocks = ((side + 7) // 8) ** 2
    table = bytes([1] + [0] * 15)  # one code, of one bit
    start = segment(0xDB, bytes(1) + b"\1" * 64) + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    codes = segment(0xC4, b"\0" + table + b"\0") + segment(0xC4, b"\x10" + table + _run(blocks)[0])
    first = segment(0xDA, b"\1\1\0\0\0\0") + bytes((blocks + 7) // 8)
    empty = segment(0xDA, b"\1\1\0\1\x3f\0") + _run(blocks)[1]
    return b"\xff\xd8" + start + codes + first + empty * (number - 1) + b"\xff\xd9"


def _run(blocks: int) -> tuple[bytes, bytes]:
    """The symbol of a run of at most twice 2 ** 13 empty blocks, and the coded runs of all blocks but a rest."""
    power = min(14, blocks.bit_length() - 1)
    bits = ""
    while blocks >= 2**power:
        run = min(blocks, 2 ** (power + 1) - 1)
        bits += "0" + (format(run - 2**power, f"0{power}b") if power else "")
        blocks -= run
    coded = bytes(int(bits[at : at + 8].ljust(8, "1"), 2) for at in range(0, len(bits), 8))
    return bytes([power << 4]), coded.replace(b"\xff", b"\xff\0")


def jpeg_parts(number: int) -> bytes:
    """A JPEG with this number of empty comments."""
    plain = encoded("JPEG")
    return plain[:2] + segment(0xFE, b"") * number + plain[2:]


def jpeg_exif(number: int) -> bytes:
    """A JPEG with this number of EXIF segments."""
    plain = encoded("JPEG")
    return plain[:2] + segment(0xE1, b"Exif\0\0" + bytes(1000)) * number + plain[2:]


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes) -> bytes:
    """A PNG with these chunks after its header."""
    plain = encoded("PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def png_parts(number: int) -> bytes:
    """A PNG with this number of empty chunks."""
    return png(chunk(b"aBcD") * number)


def png_text(number: int) -> bytes:
    """A PNG whose text, one chunk of a kilobyte each, inflates to this number of megabytes."""
    return png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20))) * number)


def gif_parts(number: int) -> bytes:
    """A GIF whose comment has this number of blocks of one byte."""
    plain = encoded("GIF")
    start = 13 + (3 << (plain[10] & 7) + 1)
    return plain[:start] + b"!\xfe" + b"\1x" * number + b"\0" + plain[start:]


def tiff_strips(number: int, order: str = "<", big: bool = False) -> bytes:
    """A grey TIFF of one column, a strip for each pixel."""
    layout, head = ("HHQQ", 16) if big else ("HHII", 8)
    tags = [(256, 1), (257, number), (258, 8), (259, 1), (262, 1), (273, None), (277, 1), (278, 1), (279, None)]
    start = b"II" if order == "<" else b"MM"
    start += struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    start += struct.pack(order + ("Q" if big else "H"), len(tags))
    values = head + (8 if big else 2) + struct.calcsize(order + layout) * len(tags) + (8 if big else 4)
    for tag, value in tags:
        many = value is None
        place = values + (0 if tag == 273 else 4 * number)
        start += struct.pack(order + layout, tag, 4, number if many else 1, place if many else value)
    return (
        start
        + bytes(8 if big else 4)
        + struct.pack(f"{order}{number}I", *[values] * number)
        + struct.pack(f"{order}{number}I", *[1] * number)
    )


def bmp_runs(size: int) -> bytes:
    """A BMP with run lengths, of this many bytes: 60,000 x 2,900 pixels in runs of one."""
    file = io.BytesIO()
    Image.new("P", (64, 64)).save(file, "BMP")
    plain = bytearray(file.getvalue())
    plain[18:26], plain[30:34] = struct.pack("<ii", 60_000, 2_900), struct.pack("<I", 1)
    head = bytes(plain[: struct.unpack_from("<I", plain, 10)[0]])
    return head + b"\1\0" * ((size - len(head)) // 2)


def ppm_text(pixels: int) -> bytes:
    """A grey picture as text, two bytes a pixel."""
    return b"P2\n1000 %d\n1\n" % (pixels // 1000) + b"0 " * pixels
