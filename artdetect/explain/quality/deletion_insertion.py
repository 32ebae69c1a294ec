"""How probability and margin of a class change while pixels are removed or added, the most important ones first.

Source of deletion and insertion: Petsiuk et al. 2018, arXiv 1806.07421.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit

from artdetect.explain.model_score import ExplainedScore

BLUR = 0.1  # standard deviation of the blur that insertion starts from, as a share of the picture's side
END_STATES = ("full", "mean colour", "blurred")
_DIGITS = 5  # of a normalised map: the pixels of a region that was reduced in size differ by rounding

PixelOrder = NDArray[np.integer]  # [H * W], flat indices of a picture's pixels, the most important first


def deletion_insertion_auc(
    score: ExplainedScore,
    image: NDArray[np.float32],
    target: int,
    orders: dict[str, PixelOrder],
    steps: int,
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """The areas under the deletion and insertion curves of one picture. Holds one batch of pictures at a time.

    Args:
        score: The score of the model.
        image: The picture, float32 [H, W, 3] in [0, 1].
        target: The explained class.
        orders: Orders of its pixels, by name.
        steps: Points of each curve.

    Returns:
        For each order the areas of `deletion` and `insertion` of the probability, and of `deletion_margin` and
        `insertion_margin` of the logit margin, which still moves where the probability is saturated; and the
        probabilities at `END_STATES`.
    """
    mean, soft = np.broadcast_to(image.mean(axis=(0, 1)), image.shape), blurred(image)
    counts = np.rint(np.linspace(0, 1, steps) * image.shape[0] * image.shape[1]).astype(int)
    curves = ((start, end, order) for order in orders.values() for start, end in ((image, mean), (soft, image)))
    pictures = chain.from_iterable(perturbed(*curve, counts) for curve in curves)
    margins = logit_margins(score, pictures, target).reshape(len(orders), 2, steps)
    probabilities = expit(margins)
    areas: dict[str, dict[str, float]] = {name: {} for name in orders}
    for suffix, curve in (("", probabilities), ("_margin", margins)):
        under = np.trapezoid(curve, counts / counts[-1], axis=-1)
        for row, (deletion, insertion) in zip(areas.values(), under, strict=True):
            row |= {f"deletion{suffix}": float(deletion), f"insertion{suffix}": float(insertion)}
    ends = probabilities[0, 0, 0], probabilities[0, 0, -1], probabilities[0, 1, 0]
    return areas, dict(zip(END_STATES, ends, strict=True))


def blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """`image` [H, W, 3] blurred so strongly that only the layout of its colours is left."""
    from scipy.ndimage import gaussian_filter

    sigma = BLUR * np.sqrt(image.shape[0] * image.shape[1])
    return gaussian_filter(image, (sigma, sigma, 0))


def perturbed(start: NDArray, end: NDArray, pixels: PixelOrder, counts: Iterable[int]) -> Iterator[NDArray[np.float32]]:
    """Pictures between two, with more and more pixels of the second.

    Args:
        start: float32 [H, W, 3].
        end: float32 [H, W, 3].
        pixels: The order in which pixels are taken from `end`.
        counts: How many pixels are taken from `end` in each picture, in ascending order.
    """
    taken = np.zeros((*start.shape[:2], 1), bool)
    done = 0
    for count in counts:
        taken.reshape(-1)[pixels[done:count]] = True
        done = count
        yield np.where(taken, end, start)


def logit_margins(score: ExplainedScore, pictures: Iterable[NDArray[np.float32]], target: int) -> NDArray[np.float64]:
    """The logit margin of each picture: the logit of class `target` minus that of the other class.

    Args:
        score: The score of the model, which gives the logits.
        pictures: N pictures, at least one, float32 [H, W, 3] in [0, 1] each; one batch is read at a time.
        target: The class, 0 or 1.

    Returns:
        float64 [N].

    Raises:
        ModelError: A logit is not finite.
    """
    remaining, margins = iter(pictures), []
    while batch := list(islice(remaining, score.batch_size)):
        logits = score.logits(np.stack(batch)).astype(np.float64)
        margins.append(logits[:, target] - logits[:, 1 - target])
    return np.concatenate(margins)


def normalised_map(heatmap: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """`heatmap` [h, w] at [H, W] = `size` by area averaging, in [-1, 1]; values that differ by rounding are equal."""
    values = _reduced(heatmap, size)
    return np.round(values / (np.abs(values).max() or np.float32(1)), _DIGITS).astype(np.float32)


def pixel_order(
    heatmap: NDArray, ranks: NDArray | None, size: tuple[int, int], draw: np.random.Generator
) -> PixelOrder:
    """Order the pixels of a picture by its heatmap, the highest first; ties by rank, then at random.

    Args:
        heatmap: float [h, w].
        ranks: int [h, w], 1 = the most important; None where there are none.
        size: Height and width of the picture.
        draw: Breaks ties.
    """
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
