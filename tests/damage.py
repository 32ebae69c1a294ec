"""Damage to files."""

from collections.abc import Iterator

import pytest

# Every 23rd bit hits each place of a byte alike. It takes a twentieth of the time.
every_bit = pytest.mark.parametrize("step", [23, pytest.param(1, marks=pytest.mark.slow)])


def flipped_bits(content: bytes, step: int = 1) -> Iterator[bytes]:
    """The content with one bit flipped: the first, then the one `step` further, and so on."""
    for bit in range(0, 8 * len(content), step):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)
