"""Integrated gradients of many pictures, baselines and steps in one stream of equal batches.

A row is one point on the straight path from a baseline to a picture. Rows fill batches regardless of where a picture
ends, and one compiled function of static shape processes all batches. Its memory is bounded by the batch, and it
returns one sum per path, not one gradient per row.
Source: Sundararajan et al. 2017, arXiv 1703.01365.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artdetect.explain.method_settings import BASELINES
from artdetect.explain.model_score import ExplainedScore, one_hot

REFINED = 0.2  # share of the points that "refined" puts into the first interval


@dataclass(frozen=True, eq=False)
class IntegratedGradientsResult:
    """The integrated gradients of N pictures.

    Args:
        attributions: float32 [N, H, W, C], the mean over the baselines.
        completeness_error: float64 [N], in units of the score: how far the sum of the attributions for a baseline is
            from the difference of the score between picture and baseline; the mean over the baselines.
        scores: The explained scores of the pictures, float32 [N].
    """

    attributions: NDArray[np.float32]
    completeness_error: NDArray[np.float64]
    scores: NDArray[np.float32]


def quadrature(steps: int, rule: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points on [0, 1] and their weights, float64 [steps] each.

    "trapezoid" and "midpoint" are the textbook rules. "refined" is the trapezoid rule with `REFINED` of the points
    inside the first interval, denser towards the baseline: the score of a net that reacts to contrast jumps as soon as
    a picture departs from one colour, and equal steps miss the jump. "saliency" is what that package does: the points
    of the trapezoid rule with equal weights.
    """
    if rule == "midpoint":
        return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    if rule == "saliency":
        return np.linspace(0, 1, steps), np.full(steps, 1 / steps)
    extra = int(REFINED * steps) if rule == "refined" else 0
    even = np.linspace(0, 1, steps - extra)
    points = np.concatenate([even[:1], even[1] * (np.arange(1, extra + 1) / (extra + 1)) ** 2, even[1:]])
    gaps = np.diff(points, prepend=0, append=1)
    return points, (gaps[:-1] + gaps[1:]) / 2


def make_baselines(images: NDArray[np.float32], baselines: str | NDArray[np.float32]) -> NDArray[np.float32]:
    """The baselines of each picture, float32 [N, B, 1 or H, 1 or W, 1 or C].

    Args:
        images: float32 [N, H, W, C] in [0, 1].
        baselines: "black_white", "black" or "white": that value everywhere; "min_max": the lowest and the highest value
            of the picture; "mean": its mean colour; or float32 [B, H, W, C], the same for all pictures.
    """
    if not isinstance(baselines, str):
        return np.broadcast_to(baselines, (len(images), *baselines.shape))
    if baselines == "mean":
        return images.mean(axis=(1, 2), keepdims=True)[:, np.newaxis]
    if baselines == "min_max":
        values = np.stack([images.min(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))], axis=1)
    else:
        levels = {"black_white": [0, 1], "black": [0], "white": [1]}[baselines]
        values = np.tile(np.array(levels, np.float32), (len(images), 1))
    return values[..., np.newaxis, np.newaxis, np.newaxis].astype(np.float32)


def check_baselines(baselines: Any, input_shape: tuple[int | None, ...]) -> None:
    """ValueError where `baselines` is not what `make_baselines` takes for a model of pictures of `input_shape`."""
    if isinstance(baselines, str) and baselines in BASELINES:
        return
    array = np.asarray(baselines)
    if (
        not isinstance(baselines, np.ndarray)
        or array.dtype != np.float32
        or array.ndim != 4
        or not array.size
        or any(expected not in (None, size) for expected, size in zip(input_shape, array.shape[1:], strict=True))
        or not (array.min() >= 0 and array.max() <= 1)
    ):
        raise ValueError(
            f"`baselines` must be one of {BASELINES} or float32 [B, H, W, C] in [0, 1] of the model's size. "
            f"Received: {array.dtype} {list(array.shape)}"
        )


class PathIntegrator:
    """Integrated gradients of a score.

    Args:
        score: The score to explain.
        steps: Points on the path from each baseline.
        rule: How these points are spread and weighted, see `quadrature`.
        baselines: See `make_baselines`.
    """

    def __init__(self, score: ExplainedScore, steps: int, rule: str, baselines: str | NDArray[np.float32]):
        self.score, self.steps, self.baselines = score, steps, baselines
        self.points, self.weights = quadrature(steps, rule)

    def __call__(self, images: NDArray[np.float32], targets: NDArray[np.integer]) -> IntegratedGradientsResult:
        """Integrate the gradients of some pictures.

        Args:
            images: float32 [N, H, W, C] in [0, 1]; N is 1 or more.
            targets: The classes to explain, int [N].

        Raises:
            ModelError: The score or its gradient is not finite.
        """
        baselines = make_baselines(images, self.baselines)
        count = baselines.shape[1]
        paths = np.repeat(images, count, axis=0)
        starts = baselines.reshape(-1, *baselines.shape[2:])
        classes = np.repeat(targets, count)
        attributions = self.score.require_finite(self._sums(paths, starts, classes), "gradient")
        attributions *= paths - starts

        ends = np.concatenate([images, np.broadcast_to(starts, paths.shape)])
        values = self.score.values(ends, np.concatenate([targets, classes]))
        scores, at_baselines = values[: len(images)], values[len(images) :]
        expected = np.repeat(scores, count).astype(np.float64) - at_baselines
        errors = np.abs(attributions.sum(axis=(1, 2, 3), dtype=np.float64) - expected)
        by_picture = attributions.reshape(len(images), count, *images.shape[1:])
        return IntegratedGradientsResult(by_picture.mean(axis=1), errors.reshape(-1, count).mean(axis=1), scores)

    def _sums(
        self, paths: NDArray[np.float32], starts: NDArray[np.float32], classes: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """The weighted sum of the gradients along each path, float32 [P, H, W, C]."""
        size, steps = self.score.batch_size, self.steps
        most = -(-size // steps) + 1  # paths that a batch can touch
        sums = np.zeros(paths.shape, np.float32)
        for first in range(0, len(paths) * steps, size):
            rows = np.arange(first, first + size)
            path, step = np.divmod(np.minimum(rows, len(paths) * steps - 1), steps)  # padded with the last row
            begin, last = path[0], path[-1]
            local = (path - begin).astype(np.int32)
            weights = np.zeros((most, size), np.float32)
            weights[local, np.arange(size)] = np.where(rows < len(paths) * steps, self.weights[step], 0)
            touched = np.minimum(np.arange(begin, begin + most), len(paths) - 1)
            partial_sums = self._partial(
                paths[touched], starts[touched], one_hot(classes[touched]), local, self.points[step], weights
            ).numpy()
            sums[begin : last + 1] += partial_sums[: last + 1 - begin]
        return sums

    @cached_property
    def _partial(self) -> Any:
        import tensorflow as tf

        @tf.function(autograph=False)
        def partial(pictures, starts, classes, path, points, weights):
            # Interpolated in double precision as by saliency under NumPy 2: the last bit of an input can close a ReLU.
            lengths = tf.cast(pictures - starts, tf.float64)
            origins = tf.cast(starts, tf.float64)
            moved = points[:, tf.newaxis, tf.newaxis, tf.newaxis] * tf.gather(lengths, path)
            images = tf.cast(tf.gather(origins, path) + moved, tf.float32)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(images)
                score = self.score.compute(images, tf.gather(classes, path))
            gradient = tf.reshape(tape.gradient(score, images), (path.shape[0], -1))
            return tf.reshape(tf.matmul(weights, gradient), tf.shape(pictures))

        return partial
