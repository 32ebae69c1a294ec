"""CBOR (RFC 8949), reading only: as much as the claims of C2PA need."""

import struct
from typing import Any

MAX_DEPTH = 32
_BREAK = object()


def decode(data: bytes) -> Any:
    """The first item in `data`: int, float, bytes, str, list, dict, bool or None. Tags are left out.

    Raises:
        ValueError: It is damaged, nested too deeply, or ends too early.
    """
    try:
        value, _ = _item(data, 0, 0)
    except (IndexError, struct.error, TypeError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"damaged CBOR: {error}") from error
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The item at a place, and the place after it."""
    if depth > MAX_DEPTH:
        raise ValueError("CBOR is nested too deeply")
    major, small = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        return _simple(data, at, small)
    endless = small == 31
    number = 0 if endless else small
    if 24 <= small <= 27:
        width = 1 << small - 24
        if at + width > len(data):
            raise IndexError("it ends too early")
        number, at = int.from_bytes(data[at : at + width]), at + width
    elif 28 <= small <= 30:
        raise ValueError("CBOR with a reserved length")
    if major in (0, 1):
        return (number if major == 0 else -1 - number), at
    if major in (2, 3):
        return _string(data, at, depth, number, endless, major)
    if major == 6:
        return _item(data, at, depth + 1)
    return _collection(data, at, depth, None if endless else number, major)


def _string(data: bytes, at: int, depth: int, length: int, endless: bool, major: int) -> tuple[Any, int]:
    if not endless:
        if at + length > len(data):
            raise IndexError("it ends too early")
        raw = data[at : at + length]
        return (raw.decode() if major == 3 else raw), at + length
    parts: list[Any] = []
    while True:
        part, at = _item(data, at, depth + 1)
        if part is _BREAK:
            return ("" if major == 3 else b"").join(parts), at
        parts.append(part)


def _collection(data: bytes, at: int, depth: int, length: int | None, major: int) -> tuple[Any, int]:
    values: list[Any] = []
    wanted = None if length is None else length * (2 if major == 5 else 1)
    while wanted is None or len(values) < wanted:
        value, at = _item(data, at, depth + 1)
        if value is _BREAK:
            break
        values.append(value)
    return (dict(zip(values[::2], values[1::2], strict=True)) if major == 5 else values), at


def _simple(data: bytes, at: int, small: int) -> tuple[Any, int]:
    if small in (25, 26, 27):
        width = 2 << small - 25
        return struct.unpack_from(">" + "efd"[small - 25], data, at)[0], at + width
    if small == 31:
        return _BREAK, at
    return {20: False, 21: True}.get(small), at + (small == 24)
