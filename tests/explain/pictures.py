"""Random pictures that make trouble: plateaus, few values, ties."""

import numpy as np


def drawn(shape, levels, cell, seed, channels=3):
    """float32 [H, W, C] in [0, 1]: cells of one of so many values; with 256 of them, grainy."""
    rng = np.random.default_rng(seed)
    height, width = shape
    values = rng.integers(0, levels, (-(-height // cell), -(-width // cell), channels)) / max(1, levels - 1)
    picture = np.kron(values, np.ones((cell, cell, 1)))[:height, :width]
    if levels == 256:
        picture = (picture + 0.05 * rng.random(picture.shape)) / 1.05
    return picture.astype(np.float32)


def rectangles(shape, count, seed):
    """So many boolean masks [H, W], some empty, some twice, seldom all of the picture together."""
    rng = np.random.default_rng(seed)
    masks = []
    while len(masks) < count:
        mask = np.zeros(shape, bool)
        top, left = rng.integers(0, shape)
        height, width = rng.integers(0, shape)
        mask[top : top + height, left : left + width] = True
        masks += [mask] * int(rng.integers(1, 3))
    return masks[:count]
