"""Integrated gradients of many pictures, baselines and steps in one stream of equal batches.

A row is one point on the straight path from a baseline to a picture. Rows fill batches without regard to where one
picture ends, and one compiled function of static shape takes them all: its memory is bounded by the batch, and it
gives back one sum a path, not one gradient a row.
Source: Sundararajan et al. 2017, arXiv 1703.01365.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from artdetect.explain.model_score import ExplainedScore, one_hot

Quadrature = Literal["refined", "trapezoid", "midpoint", "saliency"]
Baselines = Literal["black_white", "min_max", "black", "white", "mean"]
REFINED = 0.2
NAMES: tuple[str, ...] = get_args(Baselines)


@dataclass(frozen=True, eq=False)
class IntegratedGradientsResult:
    """Of N pictures.

    Args:
        attributions: float32 [N, H, W, C], the mean over the baselines.
        completeness_error: float64 [N]: by how much a baseline's attributions miss, in sum, the difference of the
            score between picture and baseline; the mean over the baselines, in units of the score.
        scores: float32 [N], of the pictures.
    """

    attributions: NDArray[np.float32]
    completeness_error: NDArray[np.float64]
    scores: NDArray[np.float32]


def quadrature(steps: int, rule: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points on [0, 1] and their weights, float64 [steps] each.

    "trapezoid" and "midpoint" are the textbook's. "refined" is the trapezoid's with `REFINED` of the points within the
    first interval, the denser the nearer to the baseline: a net that looks at contrast leaps as soon as a picture
    departs from one colour, and equal steps miss the leap. "saliency" is what that package does: the points of the
    trapezoid, all of one weight.
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


def baselines_of(images: NDArray[np.float32], baselines: str | NDArray[np.float32]) -> NDArray[np.float32]:
    """The baselines of each picture, float32 [N, B, 1 or H, 1 or W, 1 or C].

    Args:
        images: float32 [N, H, W, C] in [0, 1].
        baselines: "black_white", "black" or "white": of that value everywhere; "min_max": the picture's own lowest and
            highest value; "mean": its mean colour; or float32 [B, H, W, C], the same for all pictures.
    """
    if not isinstance(baselines, str):
        return np.broadcast_to(baselines, (len(images), *baselines.shape))
    if baselines == "mean":
        return images.mean(axis=(1, 2), keepdims=True)[:, np.newaxis]
    if baselines == "min_max":
        values = np.stack([images.min(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))], axis=1)
    else:
        named = {"black_white": [0, 1], "black": [0], "white": [1]}[baselines]
        values = np.tile(np.array(named, np.float32), (len(images), 1))
    return values[..., np.newaxis, np.newaxis, np.newaxis].astype(np.float32)


def check_baselines(baselines: Any, input_shape: tuple[int | None, ...]) -> None:
    """ValueError where `baselines` is not what `baselines_of` takes for a model of pictures of `input_shape`."""
    if isinstance(baselines, str) and baselines in NAMES:
        return
    array = np.asarray(baselines)
    if (
        not isinstance(baselines, np.ndarray)
        or array.dtype != np.float32
        or array.ndim != 4
        or not array.size
        or any(want not in (None, have) for want, have in zip(input_shape, array.shape[1:], strict=True))
        or not (array.min() >= 0 and array.max() <= 1)
    ):
        raise ValueError(
            f"`baselines` must be one of {NAMES} or float32 [B, H, W, C] in [0, 1] of the model's size. "
            f"Received: {array.dtype} {list(array.shape)}"
        )


class PathIntegrator:
    """Integrated gradients of a score, `steps` points by `rule`; baselines as in `baselines_of`."""

    def __init__(self, score: ExplainedScore, steps: int, rule: str, baselines: str | NDArray[np.float32]):
        self.score, self.steps, self.baselines = score, steps, baselines
        self.points, self.weights = quadrature(steps, rule)

    def __call__(self, images: NDArray[np.float32], targets: NDArray[np.integer]) -> IntegratedGradientsResult:
        """Of `images`, float32 [N, H, W, C] in [0, 1], for class `targets[n]` each; N of 1 or more.

        Raises:
            ModelError: The score or its gradient is not finite.
        """
        baselines = baselines_of(images, self.baselines)
        each = baselines.shape[1]
        paths = np.repeat(images, each, axis=0)
        starts = baselines.reshape(-1, *baselines.shape[2:])
        classes = np.repeat(targets, each)
        attributions = self.score.finite(self._sums(paths, starts, classes), "gradient")
        attributions *= paths - starts

        ends = np.concatenate([images, np.broadcast_to(starts, paths.shape)])
        values = self.score.values(ends, np.concatenate([targets, classes]))
        scores, at_baselines = values[: len(images)], values[len(images) :]
        due = np.repeat(scores, each).astype(np.float64) - at_baselines
        missed = np.abs(attributions.sum(axis=(1, 2, 3), dtype=np.float64) - due)
        by_picture = attributions.reshape(len(images), each, *images.shape[1:])
        return IntegratedGradientsResult(by_picture.mean(axis=1), missed.reshape(-1, each).mean(axis=1), scores)

    def _sums(
        self, paths: NDArray[np.float32], starts: NDArray[np.float32], classes: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """The weighted sum of the gradients along each path, float32 [P, H, W, C]."""
        size, steps = self.score.batch_size, self.steps
        held = -(-size // steps) + 1  # paths that a batch can touch
        sums = np.zeros(paths.shape, np.float32)
        for first in range(0, len(paths) * steps, size):
            rows = np.arange(first, first + size)
            path, step = np.divmod(np.minimum(rows, len(paths) * steps - 1), steps)  # the last row fills up
            begin, last = path[0], path[-1]
            local = (path - begin).astype(np.int32)
            weights = np.zeros((held, size), np.float32)
            weights[local, np.arange(size)] = np.where(rows < len(paths) * steps, self.weights[step], 0)
            some = np.minimum(np.arange(begin, begin + held), len(paths) - 1)
            sum_of_each = self._partial(
                paths[some], starts[some], one_hot(classes[some]), local, self.points[step], weights
            ).numpy()
            sums[begin : last + 1] += sum_of_each[: last + 1 - begin]
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
                score = self.score.of(images, tf.gather(classes, path))
            gradient = tf.reshape(tape.gradient(score, images), (path.shape[0], -1))
            return tf.reshape(tf.matmul(weights, gradient), tf.shape(pictures))

        return partial
