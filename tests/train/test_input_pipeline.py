"""Batches: rotation, zoom and crops, order, weights, degraded views, and equal shares for replicas."""

import math
from dataclasses import replace

import numpy as np
import pytest

from artdetect.pictures import degraded_views
from artdetect.train import input_pipeline
from artdetect.train.presets import recipe
from tests.train.training_helpers import split_of

# --- augmentation ---


def keras_moved(picture: np.ndarray, theta: float, rows: float, columns: float) -> np.ndarray:
    from keras.src.legacy.preprocessing.image import apply_affine_transform

    return apply_affine_transform(
        picture, theta=theta, zx=columns, zy=rows, row_axis=0, col_axis=1, channel_axis=2, fill_mode="nearest", order=1
    )


@pytest.mark.parametrize("side", [32, 33])
@pytest.mark.parametrize(
    ("theta", "rows", "columns"),
    [(0, 1, 1), (7, 1, 1), (-7, 1, 1), (0, 1.2, 0.8), (0, 0.8, 1.2), (5, 0.9, 1.1), (-3, 1.2, 1.2), (45, 1.2, 0.8)],
)
def test_rotation_and_zoom_are_keras_own(side: int, theta: float, rows: float, columns: float) -> None:
    import tensorflow as tf

    picture = np.random.default_rng(1).random((side, side, 3), np.float32)
    matrix = input_pipeline.affine(
        *(tf.constant([float(value)]) for value in (math.radians(theta), rows, columns)), side
    )
    (moved,) = tf.raw_ops.ImageProjectiveTransformV3(
        images=picture[None], transforms=matrix, output_shape=[side, side], interpolation="BILINEAR",
        fill_mode="NEAREST", fill_value=0.0,
    ).numpy()  # fmt: skip
    np.testing.assert_allclose(moved, keras_moved(picture, theta, rows, columns), atol=2e-4)


def test_augmented_pictures_are_what_keras_would_make_with_the_same_draws() -> None:
    import tensorflow as tf

    pictures = np.random.default_rng(2).random((24, 32, 32, 3), np.float32)
    seed = tf.constant([129, 5], tf.int64)
    theta = tf.random.stateless_uniform([24], seed, -7, 7).numpy()
    zoom = tf.random.stateless_uniform([2, 24], seed + 1, 0.8, 1.2).numpy()
    flip = tf.random.stateless_uniform([24], seed + 2).numpy() < 0.5
    assert 0 < flip.sum() < 24
    moved = input_pipeline.augment(tf.constant(pictures), recipe("notebook"), seed).numpy()
    for number, picture in enumerate(pictures):
        expected = keras_moved(picture, theta[number], *zoom[:, number])
        expected = expected[:, ::-1] if flip[number] else expected
        np.testing.assert_allclose(moved[number], expected, atol=2e-4)


def test_another_step_or_seed_draws_another_augmentation() -> None:
    import tensorflow as tf

    pictures = tf.constant(np.random.default_rng(2).random((4, 32, 32, 3), np.float32))
    moved = [
        input_pipeline.augment(pictures, recipe("notebook"), tf.constant(seed, tf.int64)).numpy().tobytes()
        for seed in ([129, 5], [129, 6], [130, 5], [129, 5])
    ]
    assert len(set(moved)) == 3
    assert moved[0] == moved[3]


def test_crops_are_windows_of_the_picture_sometimes_mirrored() -> None:
    import tensorflow as tf

    pictures = np.random.default_rng(3).random((16, 12, 12, 3), np.float32)
    chosen = recipe("compact", size=12, crop=9)
    crops = input_pipeline.augment(tf.constant(pictures), chosen, tf.constant([1, 2], tf.int64)).numpy()
    found = []
    for picture, crop in zip(pictures, crops, strict=True):
        found += [
            (top, left, mirrored)
            for top in range(4)
            for left in range(4)
            for mirrored in (False, True)
            if np.array_equal(crop, picture[top : top + 9, left : left + 9][:, :: -1 if mirrored else 1])
        ]
    assert len(found) == 16
    for which in range(3):
        assert len({place[which] for place in found}) > 1


# --- order and weights ---


def test_an_epoch_holds_every_picture_once_and_training_can_start_from_any_epoch() -> None:
    """The brightness encodes the number of a picture, and crops preserve it."""
    pixels = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None, None], (20, 8, 8, 3))
    rows, classes = np.arange(3, 20), np.arange(3, 20) % 2
    chosen = replace(recipe("compact", size=8, crop=4, epochs=3), batch_size=5)

    def read(first_epoch: int) -> list[tuple[list[int], list[int]]]:
        data = input_pipeline.training_batches(split_of(pixels, rows, classes), chosen, 129, first_epoch)
        return [
            ((x[:, 0, 0, 0] * 255).round().astype(int).tolist(), y.argmax(1).tolist())
            for x, y in data.as_numpy_iterator()
        ]

    whole = read(0)
    assert [len(x) for x, _ in whole] == [5, 5, 5, 2] * 3
    orders = [[number for x, _ in whole[4 * epoch : 4 * epoch + 4] for number in x] for epoch in range(3)]
    assert all(sorted(order) == list(range(3, 20)) for order in orders)
    assert len(set(map(tuple, orders))) == 3
    assert all(y == [number % 2 for number in x] for x, y in whole)
    assert read(2) == whole[8:]


def test_validation_batches_are_the_pictures_in_order_and_unchanged() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (9, 8, 8, 3), np.uint8)
    rows = np.array([7, 2, 5])
    read = list(input_pipeline.validation_batches(split_of(pixels, rows, np.array([0, 1, 1])), 2).as_numpy_iterator())
    assert [len(x) for x, _ in read] == [2, 1]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in read]), pixels[rows].astype(np.float32) / 255)
    assert np.concatenate([y for _, y in read]).argmax(1).tolist() == [0, 1, 1]


def test_weights_travel_with_their_pictures_and_are_left_out_where_all_are_one() -> None:
    pixels = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None, None], (20, 8, 8, 3))
    rows, chosen = np.arange(20), replace(recipe("compact", size=8, crop=4, epochs=1), batch_size=6)
    for weights in (np.ones(20), np.linspace(0.5, 1.5, 20)):
        split = split_of(pixels, rows, rows % 2, weights)
        for data in (
            input_pipeline.training_batches(split, chosen, 129, 0),
            input_pipeline.validation_batches(split, 6),
        ):
            found = []
            for x, _, *rest in data.as_numpy_iterator():
                assert len(rest) == (weights[0] != 1)
                numbers = (x[:, 0, 0, 0] * 255).round().astype(int)
                found += numbers.tolist()
                for batch_weights in rest:
                    np.testing.assert_array_equal(batch_weights, weights[numbers].astype(np.float32))
            assert sorted(found) == list(range(20))


# --- degraded views ---


def test_each_epoch_sees_other_degraded_views_and_some_pictures_clean() -> None:
    pixels = np.random.default_rng(6).integers(0, 256, (24, 8, 8, 3), np.uint8)
    split = split_of(pixels, np.arange(24), np.arange(24) % 2)
    chosen = replace(recipe("compact", size=8, crop=8, epochs=3), crop=None, degraded_share=0.75, batch_size=24)

    def read(first_epoch: int) -> list[list[bytes]]:
        data = input_pipeline.training_batches(split, chosen, 129, first_epoch).as_numpy_iterator()
        return [[(x * 255).round().astype(np.uint8).tobytes() for x in pictures] for pictures, _ in data]

    epochs = read(0)
    assert read(2) == epochs[2:]
    clean = [picture.tobytes() for picture in pixels]
    clean_in = [set(epoch) & set(clean) for epoch in epochs]
    assert all(2 <= len(found) <= 12 for found in clean_in)  # about a quarter of 24
    assert len(set(map(frozenset, clean_in))) == 3
    assert not set(epochs[0]) & set(epochs[1]) - set(clean)


def test_a_view_is_that_of_the_picture_and_the_number_alone() -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (5, 8, 8, 3), np.uint8)
    split = split_of(pixels, np.array([4, 1, 3]), np.array([0, 1, 0]))
    pictures = split.read(np.array([2, 0, 1, 0]), np.array([7, 0, 9, 7]))
    for found, row, number in zip(pictures, (3, 4, 1, 4), (7, 0, 9, 7), strict=True):
        np.testing.assert_array_equal(found, degraded_views.degraded_view(pixels[row], f"{row:064x}", number))


def test_validation_repeats_the_pictures_in_each_view() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (3, 8, 8, 3), np.uint8)
    read = list(
        input_pipeline.validation_batches(
            split_of(pixels, np.arange(3), np.array([0, 1, 1])), 4, views=3
        ).as_numpy_iterator()
    )
    assert [len(x) for x, _ in read] == [4, 4, 1]
    assert np.concatenate([y for _, y in read]).argmax(1).tolist() == [0, 1, 1] * 3
    expected = np.stack(
        [degraded_views.degraded_view(pixels[row], f"{row:064x}", number) for number in range(3) for row in range(3)]
    )
    np.testing.assert_array_equal(np.concatenate([x for x, _ in read]), expected.astype(np.float32) / 255)


# --- replicas ---


@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 7])
def test_every_batch_divides_into_equal_shares_and_weighted_means_stay_the_same(replicas: int) -> None:
    values = np.random.default_rng(8).random(10)
    pixels = np.broadcast_to(np.arange(10, dtype=np.uint8)[:, None, None, None], (10, 8, 8, 3))
    weights = np.linspace(0.5, 1.5, 10)
    split, devices = split_of(pixels, np.arange(10), np.arange(10) % 2, weights), tuple("abcdefg"[:replicas])
    chosen = replace(recipe("compact", size=8, crop=8, epochs=1), batch_size=2 * replicas, devices=devices)
    for data in (
        input_pipeline.training_batches(split, chosen, 129, 0),
        input_pipeline.validation_batches(split, 2 * replicas, 1, replicas),
    ):
        total = count = 0.0
        for x, _, counts in data.as_numpy_iterator():
            assert len(x) % replicas == 0
            total += (values[(x[:, 0, 0, 0] * 255).round().astype(int)] * counts).sum()
            count += len(x)
        assert total / count == pytest.approx(np.mean(values * weights), rel=1e-6)
