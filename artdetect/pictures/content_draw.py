"""Random draws that depend on the content of pictures alone: the chance that a picture has is a hash of its bytes.

Such a draw stays the same in whatever order the pictures come, wherever they lie, and on every machine. A picture that
is added or removed changes the draw by one picture at most. The purpose, a text that may hold a seed, keeps the draws
of different places independent of each other.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def draw_key(purpose: str, sha256: str) -> bytes:
    """32 random bytes for the picture with this content (64 hex digits); the lowest ones are drawn first."""
    return hashlib.sha256(f"{purpose} {sha256}".encode()).digest()


def sample(purpose: str, sha256s: Sequence[str], count: int) -> list[int]:
    """Draw up to `count` contents: those with the lowest `draw_key`.

    Args:
        purpose: The name of the draw, which may hold a seed.
        sha256s: The digests of the contents, 64 hex digits each.
        count: The most contents to draw; all if there are fewer.

    Returns:
        Positions in `sha256s`, in ascending order.
    """
    keys = [draw_key(purpose, sha256) for sha256 in sha256s]
    return sorted(sorted(range(len(keys)), key=keys.__getitem__)[:count])


def generator(purpose: str, sha256: str) -> "np.random.Generator":
    """A random generator whose seed is the picture's `draw_key`."""
    import numpy as np

    return np.random.default_rng(int.from_bytes(draw_key(purpose, sha256)[:8], "big"))
