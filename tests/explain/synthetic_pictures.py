"""Random pictures and regions that make trouble: plateaus, few values, ties."""

import numpy as np

from artdetect.explain.regions import Regions


def mosaic(shape, levels, cell, seed, channels=3):
    """A picture of cells with random values, float32 [H, W, C] in [0, 1].

    Args:
        shape: Height and width.
        levels: How many different values there are; with 256 of them, the picture is grainy.
        cell: Side of a cell; px.
        seed: Seed of the values.
        channels: C.
    """
    rng = np.random.default_rng(seed)
    height, width = shape
    values = rng.integers(0, levels, (-(-height // cell), -(-width // cell), channels)) / max(1, levels - 1)
    picture = np.kron(values, np.ones((cell, cell, 1)))[:height, :width]
    if levels == 256:
        picture = (picture + 0.05 * rng.random(picture.shape)) / 1.05
    return picture.astype(np.float32)


def random_rectangles(shape, count, seed):
    """`count` boolean masks [H, W]: some are empty, some occur twice, and together they seldom cover the picture."""
    rng = np.random.default_rng(seed)
    masks = []
    while len(masks) < count:
        mask = np.zeros(shape, bool)
        top, left = rng.integers(0, shape)
        height, width = rng.integers(0, shape)
        mask[top : top + height, left : left + width] = True
        masks += [mask] * int(rng.integers(1, 3))
    return masks[:count]


def regions_from_masks(masks):
    """The `Regions` of boolean masks [H, W]."""
    lists = [np.flatnonzero(mask).astype(np.int32) for mask in masks]
    starts = np.concatenate([[0], np.cumsum([len(pixels) for pixels in lists])]).astype(np.int64)
    return Regions(starts, np.concatenate(lists), np.shape(masks[0]))


def masks_of(regions):
    """The boolean masks [M, H, W] of `Regions`."""
    masks = np.zeros((len(regions), regions.shape[0] * regions.shape[1]), bool)
    for region, mask in enumerate(masks):
        mask[regions.pixels_of(region)] = True
    return masks.reshape(-1, *regions.shape)
