"""Training and validation batches: canonical pixels from the pixel cache, shuffled and augmented.

Order and augmentation depend on the seed and the step alone, so a training that was cut off goes on exactly as it would
have.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from artdetect import compute
from artdetect.pictures import images, labels
from artdetect.pictures.degraded_views import degraded_view

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from artdetect.pictures.pixel_cache import PixelCache
    from artdetect.train.presets import Recipe

ROTATION, ZOOM = 7.0, 0.2  # degrees and share: the notebook's rotation_range and zoom_range
VIEW_SEEDS = 2**31  # degraded views that a training picture may be seen in


@dataclass(frozen=True)
class Split:
    """The N pictures that train, or those that validate."""

    pixels: "PixelCache"
    rows: "np.ndarray"  # int [N], as `pixels.read` takes them
    classes: "np.ndarray"  # int [N]
    weights: "np.ndarray"  # float [N]: what each counts
    sha256s: Sequence[str] = ()  # of their contents, hex: what a degraded view depends on

    def __len__(self) -> int:
        return len(self.rows)

    def seen(self, pictures: "np.ndarray", views: "np.ndarray") -> "np.ndarray":
        """View `views[i]` of picture `pictures[i]`: uint8 [n, S, S, 3]. Threads share the work of degrading."""
        import numpy as np

        clean = self.pixels.read(self.rows[pictures])
        if not views.any():
            return clean
        with ThreadPoolExecutor(compute.processors()) as threads:
            return np.stack(
                list(threads.map(degraded_view, clean, [self.sha256s[n] for n in pictures], views.tolist()))
            )


@dataclass(frozen=True)
class SampleOrder:
    """Pictures of a part in the order in which a net gets to see them."""

    pictures: "np.ndarray"  # int [n]
    views: "np.ndarray"  # int [n]
    counts: "np.ndarray"  # float [n]: what the pictures' weights are multiplied with

    def __getitem__(self, rows: slice) -> "SampleOrder":
        return SampleOrder(self.pictures[rows], self.views[rows], self.counts[rows])

    @staticmethod
    def shared(pictures: "np.ndarray", views: "np.ndarray", shares: int) -> "SampleOrder":
        """A multiple of `shares`: repeated ones count nothing, and the others so much more that means stay the same."""
        import numpy as np

        n = len(pictures)
        padded = -(-n // shares) * shares
        counts = np.where(np.arange(padded) < n, padded / n, 0.0)
        return SampleOrder(np.resize(pictures, padded), np.resize(views, padded), counts)


def steps_per_epoch(pictures: int, recipe: "Recipe") -> int:
    """Batches in an epoch; the last may be smaller."""
    return -(-pictures // recipe.batch_size)


def training(part: Split, recipe: "Recipe", seed: int, first_epoch: int) -> "tf.data.Dataset":
    """Batches (float32 [B, S, S, 3] in [0, 1], one-hot [B, 2]) from `first_epoch` to the recipe's last.

    Where any picture counts other than 1, each batch has a third part: the weights, float32 [B].
    """
    import numpy as np
    import tensorflow as tf

    steps = steps_per_epoch(len(part), recipe)

    @lru_cache(maxsize=1)
    def epoch_looks(epoch: int) -> SampleOrder:
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(part))
        views = np.zeros(len(part), np.int64)
        if recipe.degraded:
            views = np.where(random.random(len(part)) < recipe.degraded, random.integers(1, VIEW_SEEDS, len(part)), 0)
        return SampleOrder.shared(order, views, recipe.shares)

    def looks(step: int) -> SampleOrder:
        epoch, number = divmod(step, steps)
        return epoch_looks(epoch)[number * recipe.batch_size : (number + 1) * recipe.batch_size]

    batch = _reader(part, looks, bool(len(part) % recipe.shares))

    def load(step: "tf.Tensor") -> "tuple[tf.Tensor, ...]":
        x, *rest = batch(step)
        return augment(x, recipe, tf.stack([tf.cast(seed, tf.int64), step])), *rest

    return tf.data.Dataset.range(first_epoch * steps, recipe.epochs * steps).map(load).prefetch(4)


def whole(part: Split, batch_size: int, views: int = 1, shares: int = 1) -> "tf.data.Dataset":
    """Batches of the canonical pictures in order, then of their views 1 to `views` - 1; shapes as in `training`."""
    import numpy as np
    import tensorflow as tf

    every, numbers = np.arange(len(part)), np.arange(views)
    looks = SampleOrder.shared(np.tile(every, views), np.repeat(numbers, len(part)), shares)
    batch = _reader(part, lambda start: looks[start : start + batch_size], bool(views * len(part) % shares))
    return tf.data.Dataset.range(0, len(looks.pictures), batch_size).map(batch).prefetch(2)


def _reader(
    part: Split, looks: Callable[[int], SampleOrder], uneven: bool
) -> "Callable[[tf.Tensor], tuple[tf.Tensor, ...]]":
    """Given a number, `looks(number)` as the model takes them: pictures, classes one-hot, weights unless all are 1."""
    import numpy as np
    import tensorflow as tf

    def read(number: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        chosen = looks(int(number))
        x = images.to_input(part.seen(chosen.pictures, chosen.views))
        weights = part.weights[chosen.pictures] * chosen.counts
        return x, part.classes[chosen.pictures].astype(np.int32), weights.astype(np.float32)

    side = part.pixels.geometry.size
    weighted = uneven or (part.weights != 1).any()

    def batch(number: "tf.Tensor") -> "tuple[tf.Tensor, ...]":
        x, y, weights = tf.numpy_function(read, [number], [tf.float32, tf.int32, tf.float32])
        x = tf.ensure_shape(x, [None, side, side, 3])
        y = tf.one_hot(tf.ensure_shape(y, [None]), len(labels.CLASSES))
        return (x, y, tf.ensure_shape(weights, [None])) if weighted else (x, y)

    return batch


def augment(x: "tf.Tensor", recipe: "Recipe", seed: "tf.Tensor") -> "tf.Tensor":
    """Augmented pictures, float32 [B, S or crop, S or crop, 3]; `seed` int64 [2] decides everything."""
    import tensorflow as tf

    if recipe.degraded is not None:
        return x
    if recipe.crop is None:
        return _rotate_zoom_flip(x, seed)
    batch, side = tf.shape(x)[0], recipe.crop
    corner = tf.random.stateless_uniform([batch, 2], seed, 0, recipe.geometry.size - side + 1, tf.int32)
    span = tf.range(side)
    x = tf.gather(x, corner[:, :1] + span, axis=1, batch_dims=1)
    x = tf.gather(x, corner[:, 1:] + span, axis=2, batch_dims=1)
    return _flip(x, seed + 1)


def _rotate_zoom_flip(x: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
    """The notebook's ImageDataGenerator: rotation, zoom along each axis, flip; bilinear, edges repeated."""
    import math

    import tensorflow as tf

    batch, side = tf.shape(x)[0], x.shape[1]
    angle = tf.random.stateless_uniform([batch], seed, -ROTATION, ROTATION) * (math.pi / 180)
    zoom = tf.random.stateless_uniform([2, batch], seed + 1, 1 - ZOOM, 1 + ZOOM)
    matrix = affine(angle, zoom[0], zoom[1], side)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=x,
        transforms=matrix,
        output_shape=[side, side],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )
    return _flip(moved, seed + 2)


def _flip(x: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
    """About half of the pictures mirrored; `reverse_sequence` does it in a quarter of the time of `x[:, :, ::-1]`."""
    import tensorflow as tf

    flip = tf.random.stateless_uniform([tf.shape(x)[0]], seed) < 0.5
    return tf.reverse_sequence(x, tf.where(flip, x.shape[2], 0), seq_axis=2, batch_axis=0)


def affine(angle: "tf.Tensor", zoom_rows: "tf.Tensor", zoom_columns: "tf.Tensor", side: int) -> "tf.Tensor":
    """Output-to-input maps, float32 [B, 8], of Keras's `apply_affine_transform`: about the centre, rotation times zoom.

    `angle` in radians [B]; zoom > 1 shrinks the picture, as there.
    """
    import tensorflow as tf

    cos, sin = tf.cos(angle), tf.sin(angle)
    # [[cos, -sin], [sin, cos]] @ diag(zoom_columns, zoom_rows) on (x = column, y = row); Keras's zx is that of columns.
    a, b = cos * zoom_columns, -sin * zoom_rows
    d, e = sin * zoom_columns, cos * zoom_rows
    centre = (side - 1) / 2
    zero = tf.zeros_like(angle)
    return tf.stack([a, b, centre - (a + b) * centre, d, e, centre - (d + e) * centre, zero, zero], axis=1)
