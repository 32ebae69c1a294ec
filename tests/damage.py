"""Damage to files."""

from collections.abc import Iterator


def flipped_bits(content: bytes) -> Iterator[bytes]:
    """The content with each of its bits flipped, one at a time."""
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)
