"""What becomes of a class's probability and margin while a picture's pixels go or come, the most important first.

Source of deletion and insertion: Petsiuk et al. 2018, arXiv 1806.07421.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit

import artdetect.explain.quality.performance_information_curves as pic
from artdetect.explain.model_score import ExplainedScore

BLUR = 0.1  # standard deviation of the insertion's blur, by the picture's side
END_STATES = ("full", "mean colour", "blurred")
_DIGITS = 5  # of a heatmap's largest value: regions that are reduced differ within themselves by rounding

PixelOrder = NDArray[np.integer]  # [H * W], flat indices of a picture's pixels, the most important first


def deletion_insertion_auc(
    score: ExplainedScore,
    image: NDArray[np.float32],
    target: int,
    orders: dict[str, PixelOrder],
    steps: int,
    information: bool = False,
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """The areas of each of `orders` of one picture, float32 [H, W, 3]; and the probabilities at the curves' `ENDS`.

    The areas: deletion and insertion of the probability, the same of the logit margin (a softmax that is sure of itself
    hardly moves), by `steps` points each; with `information` aic and sic, too. Holds one batch of pictures, or those of
    one information curve.
    """
    mean, soft = np.broadcast_to(image.mean(axis=(0, 1)), image.shape), blurred(image)
    counts = np.rint(np.linspace(0, 1, steps) * image.shape[0] * image.shape[1]).astype(int)
    curves = ((start, end, one) for one in orders.values() for start, end in ((image, mean), (soft, image)))
    altering = chain.from_iterable(perturbed(*curve, counts) for curve in curves)
    margins = margins_of(score, altering, target).reshape(len(orders), 2, steps)
    heights = expit(margins)
    found: dict[str, dict[str, float]] = {name: {} for name in orders}
    for suffix, curve in (("", heights), ("_margin", margins)):
        under = np.trapezoid(curve, counts / counts[-1], axis=-1)
        for row, (deletion, insertion) in zip(found.values(), under, strict=True):
            row |= {f"deletion{suffix}": float(deletion), f"insertion{suffix}": float(insertion)}
    if information:
        counts = np.rint(np.array(pic.SHARES) * image.shape[0] * image.shape[1]).astype(int)
        for name, one in orders.items():
            pictures = list(perturbed(soft, image, one, counts))
            sizes = np.array([pic.information(picture) for picture in pictures])
            found[name] |= pic.performance_information_auc(sizes, expit(margins_of(score, pictures, target)))
    return found, dict(zip(END_STATES, (heights[0, 0, 0], heights[0, 0, -1], heights[0, 1, 0]), strict=True))


def blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """`image` [H, W, 3] of which only the layout of its colours is left."""
    from scipy.ndimage import gaussian_filter

    sigma = BLUR * np.sqrt(image.shape[0] * image.shape[1])
    return gaussian_filter(image, (sigma, sigma, 0))


def perturbed(start: NDArray, end: NDArray, pixels: PixelOrder, counts: Iterable[int]) -> Iterator[NDArray[np.float32]]:
    """`start` with the first of `pixels` as in `end`, for each of `counts`, which ascend."""
    taken = np.zeros((*start.shape[:2], 1), bool)
    done = 0
    for count in counts:
        taken.reshape(-1)[pixels[done:count]] = True
        done = count
        yield np.where(taken, end, start)


def margins_of(score: ExplainedScore, pictures: Iterable[NDArray[np.float32]], target: int) -> NDArray[np.float64]:
    """The logit of class `target` minus the other's for each of the pictures, taken a batch at a time."""
    remaining, found = iter(pictures), []
    while batch := list(islice(remaining, score.batch_size)):
        logits = score.logits(np.stack(batch)).astype(np.float64)
        found.append(logits[:, target] - logits[:, 1 - target])
    return np.concatenate(found)


def normalised_map(heatmap: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """`heatmap` [h, w] at [H, W] = `size` by area averaging, in [-1, 1]; what differs by rounding only is equal."""
    values = _reduced(heatmap, size)
    return np.round(values / (np.abs(values).max() or np.float32(1)), _DIGITS).astype(np.float32)


def pixel_order(
    heatmap: NDArray, ranks: NDArray | None, size: tuple[int, int], draw: np.random.Generator
) -> PixelOrder:
    """The pixels of a picture of `size` by the heatmap, highest first; ties by rank, then at random."""
    random = draw.random(size).ravel()
    ranked = np.zeros(size) if ranks is None else np.round(_reduced(ranks, size), 2)
    return np.lexsort((random, ranked.ravel(), -normalised_map(heatmap, size).ravel()))


def correlation(one: NDArray, other: NDArray) -> float:
    """Spearman's rank correlation of two maps of one size, without its sign; NaN where one of them is flat."""
    from scipy.stats import rankdata

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(abs(np.corrcoef(rankdata(one), rankdata(other))[0, 1]))


def _reduced(array: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    values = np.ascontiguousarray(array, np.float32)
    if values.shape == tuple(size):
        return values
    return np.asarray(Image.fromarray(values).resize(size[::-1], Image.Resampling.BOX))
