"""Training and validation batches: canonical pixels from the pixel cache, shuffled and augmented.

Order and augmentation depend only on the seed and the step, so an interrupted training continues exactly as it would
have without the interruption.
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
VIEW_SEEDS = 2**31  # number of different degraded views that training draws from


@dataclass(frozen=True)
class Split:
    """The N pictures of the training or validation split.

    Args:
        pixels: The cache that holds them.
        rows: int [N], their rows in `pixels`.
        classes: int [N].
        weights: float [N], how much each picture counts.
        sha256s: Hex digests of the picture files, which determine the degraded views.
    """

    pixels: "PixelCache"
    rows: "np.ndarray"
    classes: "np.ndarray"
    weights: "np.ndarray"
    sha256s: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, pictures: "np.ndarray", views: "np.ndarray") -> "np.ndarray":
        """View `views[i]` of picture `pictures[i]`, uint8 [n, S, S, 3]. Threads share the work of degrading."""
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
    """The order in which a net sees the pictures of a split, and in which views.

    Args:
        pictures: int [n], indices into the split.
        views: int [n].
        counts: float [n], factors of the pictures' weights.
    """

    pictures: "np.ndarray"
    views: "np.ndarray"
    counts: "np.ndarray"

    def __getitem__(self, rows: slice) -> "SampleOrder":
        return SampleOrder(self.pictures[rows], self.views[rows], self.counts[rows])

    @staticmethod
    def padded(pictures: "np.ndarray", views: "np.ndarray", replicas: int) -> "SampleOrder":
        """The order of some pictures, padded with repeated ones to a multiple of `replicas`.

        The repeated pictures count nothing. The others count more in proportion, so that means stay the same.

        Args:
            pictures: int [n], indices into the split.
            views: int [n], the view of each picture.
            replicas: Number of equal shares that each batch is divided into.
        """
        import numpy as np

        n = len(pictures)
        length = -(-n // replicas) * replicas
        counts = np.where(np.arange(length) < n, length / n, 0.0)
        return SampleOrder(np.resize(pictures, length), np.resize(views, length), counts)


def steps_per_epoch(pictures: int, recipe: "Recipe") -> int:
    """Batches in an epoch. The last one may be smaller."""
    return -(-pictures // recipe.batch_size)


def training_batches(split: Split, recipe: "Recipe", seed: int, first_epoch: int) -> "tf.data.Dataset":
    """Batches (pictures float32 [B, S, S, 3] in [0, 1], classes one-hot [B, 2]) up to the recipe's last epoch.

    If any picture's weight is not 1, batches have the weights, float32 [B], as a third component.

    Args:
        split: The training pictures.
        recipe: Batch size, augmentation and epochs.
        seed: Seed of order and augmentation.
        first_epoch: The epoch to start from, counted from 0.
    """
    import numpy as np
    import tensorflow as tf

    steps = steps_per_epoch(len(split), recipe)

    @lru_cache(maxsize=1)
    def epoch_order(epoch: int) -> SampleOrder:
        random = np.random.default_rng([seed, epoch])
        n = len(split)
        pictures = random.permutation(n)
        views = np.zeros(n, np.int64)
        if recipe.degraded_share:
            views = np.where(random.random(n) < recipe.degraded_share, random.integers(1, VIEW_SEEDS, n), 0)
        return SampleOrder.padded(pictures, views, recipe.replicas)

    def batch_order(step: int) -> SampleOrder:
        epoch, number = divmod(step, steps)
        return epoch_order(epoch)[number * recipe.batch_size : (number + 1) * recipe.batch_size]

    batch = _reader(split, batch_order, bool(len(split) % recipe.replicas))

    def load(step: "tf.Tensor") -> "tuple[tf.Tensor, ...]":
        x, *rest = batch(step)
        return augment(x, recipe, tf.stack([tf.cast(seed, tf.int64), step])), *rest

    return tf.data.Dataset.range(first_epoch * steps, recipe.epochs * steps).map(load).prefetch(4)


def validation_batches(split: Split, batch_size: int, views: int = 1, replicas: int = 1) -> "tf.data.Dataset":
    """Batches of the clean pictures in order, then of their degraded views 1 to `views` - 1.

    The batches have the shapes of `training_batches`.

    Args:
        split: The validation pictures.
        batch_size: Pictures per batch; the last batch may be smaller.
        views: Number of views of each picture, the clean one included.
        replicas: Number of equal shares that each batch is divided into. Pictures are repeated, with weight 0, to fill
            the last shares.
    """
    import numpy as np
    import tensorflow as tf

    n = len(split)
    order = SampleOrder.padded(np.tile(np.arange(n), views), np.repeat(np.arange(views), n), replicas)
    batch = _reader(split, lambda start: order[start : start + batch_size], bool(views * n % replicas))
    return tf.data.Dataset.range(0, len(order.pictures), batch_size).map(batch).prefetch(2)


def _reader(
    split: Split, batch_order: Callable[[int], SampleOrder], padded: bool
) -> "Callable[[tf.Tensor], tuple[tf.Tensor, ...]]":
    """A function from a batch's number to its pictures, one-hot classes and, unless all are 1, weights."""
    import numpy as np
    import tensorflow as tf

    def read(number: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        order = batch_order(int(number))
        x = images.to_input(split.read(order.pictures, order.views))
        weights = split.weights[order.pictures] * order.counts
        return x, split.classes[order.pictures].astype(np.int32), weights.astype(np.float32)

    side = split.pixels.geometry.size
    weighted = padded or (split.weights != 1).any()

    def batch(number: "tf.Tensor") -> "tuple[tf.Tensor, ...]":
        x, y, weights = tf.numpy_function(read, [number], [tf.float32, tf.int32, tf.float32])
        x = tf.ensure_shape(x, [None, side, side, 3])
        y = tf.one_hot(tf.ensure_shape(y, [None]), len(labels.CLASSES))
        return (x, y, tf.ensure_shape(weights, [None])) if weighted else (x, y)

    return batch


def augment(x: "tf.Tensor", recipe: "Recipe", seed: "tf.Tensor") -> "tf.Tensor":
    """A batch of pictures as a recipe augments them.

    Args:
        x: Pictures, float32 [B, S, S, 3] in [0, 1].
        recipe: The recipe. Pictures stay as they are if it trains on degraded views.
        seed: int64 [2], which determines the augmentation.

    Returns:
        float32 [B, S, S, 3], or [B, crop, crop, 3] for a recipe with random crops.
    """
    import tensorflow as tf

    if recipe.degraded_share is not None:
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
    """The notebook's ImageDataGenerator: rotation, zoom along each axis, flip; bilinear, with edges repeated."""
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
    """Mirror about half of the pictures. `reverse_sequence` takes a quarter of the time of `x[:, :, ::-1]`."""
    import tensorflow as tf

    flip = tf.random.stateless_uniform([tf.shape(x)[0]], seed) < 0.5
    return tf.reverse_sequence(x, tf.where(flip, x.shape[2], 0), seq_axis=2, batch_axis=0)


def affine(angle: "tf.Tensor", zoom_rows: "tf.Tensor", zoom_columns: "tf.Tensor", side: int) -> "tf.Tensor":
    """Output-to-input maps, float32 [B, 8], of Keras's `apply_affine_transform`: rotation times zoom, about the centre.

    Args:
        angle: Radians [B].
        zoom_rows: Vertical zoom [B]. As in Keras, values above 1 shrink the picture.
        zoom_columns: Horizontal zoom [B].
        side: Side of the pictures in pixels.
    """
    import tensorflow as tf

    cos, sin = tf.cos(angle), tf.sin(angle)
    # [[cos, -sin], [sin, cos]] @ diag(zoom_columns, zoom_rows) on (x = column, y = row); Keras's zx is that of columns.
    a, b = cos * zoom_columns, -sin * zoom_rows
    d, e = sin * zoom_columns, cos * zoom_rows
    centre = (side - 1) / 2
    zero = tf.zeros_like(angle)
    return tf.stack([a, b, centre - (a + b) * centre, d, e, centre - (d + e) * centre, zero, zero], axis=1)
