import hashlib
import json
import math
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect import train
from artdetect.detector import MODEL_FILE, Detector, read_card
from artdetect.errors import ModelError
from artdetect.images import Geometry
from artdetect.train import TrainConfig, batches
from artdetect.train.fit import Fitted, Row, fit
from artdetect.train.presets import Recipe, compact, notebook, recipe
from benchmarks.notebook import network as original
from tests.tiny import jpeg, write

OUTPUTS = (MODEL_FILE, "history.csv", "metrics.json")


class CutOffError(Exception):
    """A training is cut off here."""


@pytest.fixture
def inputs(trained: Path, model: Path) -> tuple[Path, Path]:
    """The balance artifact and the pictures of the shared tiny set."""
    return trained / "artifacts" / "balance" / "k1", trained / "data" / "raw" / "art"


def run(config: TrainConfig, inputs: tuple[Path, Path], folder: Path, report: Callable | None = None) -> Path:
    (out := folder / "out").mkdir(parents=True, exist_ok=True)
    train.run(config, *inputs, out, folder / "work", report)
    return out


def contents(out: Path) -> dict[str, str]:
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in OUTPUTS}


# --- the notebook's net and recipe ---


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`")
def test_the_notebook_preset_is_the_notebooks_net() -> None:
    ours, theirs = notebook(), original()
    assert [type(layer) for layer in ours.layers] == [type(layer) for layer in theirs.layers]
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        assert one.get_config() | {"name": ""} == other.get_config() | {"name": ""}
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    assert ours.input_shape == (None, 32, 32, 3)
    assert ours.count_params() == theirs.count_params() == 186_370


def test_the_notebook_preset_has_the_notebooks_recipe() -> None:
    chosen = recipe("notebook")
    assert (chosen.geometry.size, chosen.geometry.fit, chosen.crop) == (32, "squash", None)
    assert (chosen.epochs, chosen.batch_size, chosen.monitor, chosen.patience) == (30, 64, "val_accuracy", 10)
    optimizer = chosen.optimizer(1)
    adam = optimizer.get_config()
    assert (type(optimizer).__name__, adam["clipnorm"]) == ("Adam", 1.0)
    schedule = adam["learning_rate"]["config"]
    assert (schedule["initial_learning_rate"], schedule["decay_steps"], schedule["decay_rate"]) == (1e-3, 14_067, 0.99)
    assert (batches.ROTATION, batches.ZOOM) == (7, 0.2)


def test_the_notebooks_rate_hardly_decays_over_its_30_epochs_of_100000_pictures() -> None:
    chosen = recipe("notebook")
    optimizer = chosen.optimizer(1)
    optimizer.iterations.assign(30 * batches.steps_per_epoch(100_000, chosen))
    assert float(optimizer.learning_rate) == pytest.approx(0.000967, abs=5e-7)


def test_the_history_records_the_rate(inputs: tuple[Path, Path], model: Path) -> None:
    history = pd.read_csv(model / "history.csv")
    assert list(history.epoch) == [1, 2, 3]
    assert list(history.rate) == pytest.approx([1e-3 * 0.99 ** (step / 14_067) for step in (1, 2, 3)], rel=1e-6)
    assert list(history.columns) == ["epoch", "rate", "loss", "accuracy", "val_loss", "val_accuracy"]


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
    matrix = batches.affine(*(tf.constant([float(value)]) for value in (math.radians(theta), rows, columns)), side)
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
    moved = batches.augment(tf.constant(pictures), recipe("notebook"), seed).numpy()
    for number, picture in enumerate(pictures):
        expected = keras_moved(picture, theta[number], *zoom[:, number])
        expected = expected[:, ::-1] if flip[number] else expected
        np.testing.assert_allclose(moved[number], expected, atol=2e-4)


def test_another_step_or_seed_draws_another_augmentation() -> None:
    import tensorflow as tf

    pictures = tf.constant(np.random.default_rng(2).random((4, 32, 32, 3), np.float32))
    moved = [
        batches.augment(pictures, recipe("notebook"), tf.constant(seed, tf.int64)).numpy().tobytes()
        for seed in ([129, 5], [129, 6], [130, 5], [129, 5])
    ]
    assert len(set(moved)) == 3
    assert moved[0] == moved[3]


# --- compact ---


def test_compact_is_small_and_looks_at_pictures_of_any_size() -> None:
    net = compact()
    assert net.count_params() < 1_000_000
    for shape in ((1, 64, 64, 3), (2, 40, 56, 3)):
        p = net(np.zeros(shape, np.float32)).numpy()
        assert p.shape == (shape[0], 2)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)


def test_crops_are_windows_of_the_picture_sometimes_mirrored() -> None:
    import tensorflow as tf

    pictures = np.random.default_rng(3).random((16, 12, 12, 3), np.float32)
    chosen = recipe("compact", size=12, crop=9)
    crops = batches.augment(tf.constant(pictures), chosen, tf.constant([1, 2], tf.int64)).numpy()
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
    for part in range(3):
        assert len({place[part] for place in found}) > 1


@pytest.mark.parametrize("preset", ["notebook", "compact"])
@pytest.mark.parametrize("size", [10, 11, 64])
def test_every_size_that_the_config_allows_makes_a_net(preset: str, size: int) -> None:
    chosen = recipe(TrainConfig(preset=preset, size=size).preset, size=size)
    assert chosen.geometry.size == size
    assert chosen.build()(np.zeros((1, size, size, 3), np.float32)).shape == (1, 2)


# --- batches ---


class Held:
    """Stands in for the pixel cache: pictures uint8 [M, S, S, 3] that are in memory."""

    def __init__(self, pixels: np.ndarray):
        self.pixels, self.geometry = pixels, Geometry(pixels.shape[1], "crop")

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.pixels[rows]


def part(pixels: np.ndarray, rows: np.ndarray, classes: np.ndarray, weights: np.ndarray | None = None) -> batches.Part:
    return batches.Part(Held(pixels), rows, classes, np.ones(len(rows)) if weights is None else weights)


def test_an_epoch_holds_every_picture_once_and_goes_on_from_any_epoch() -> None:
    """Brightness numbers the pictures; crops keep it."""
    pixels = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None, None], (20, 8, 8, 3))
    rows, classes = np.arange(3, 20), np.arange(3, 20) % 2
    chosen = replace(recipe("compact", size=8, crop=4, epochs=3), batch_size=5)

    def read(first_epoch: int) -> list[tuple[list[int], list[int]]]:
        data = batches.training(part(pixels, rows, classes), chosen, 129, first_epoch)
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
    read = list(batches.whole(part(pixels, rows, np.array([0, 1, 1])), 2).as_numpy_iterator())
    assert [len(x) for x, _ in read] == [2, 1]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in read]), pixels[rows].astype(np.float32) / 255)
    assert np.concatenate([y for _, y in read]).argmax(1).tolist() == [0, 1, 1]


def test_weights_travel_with_their_pictures_and_are_left_out_where_all_are_one() -> None:
    pixels = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None, None], (20, 8, 8, 3))
    rows, chosen = np.arange(20), replace(recipe("compact", size=8, crop=4, epochs=1), batch_size=6)
    for weights in (np.ones(20), np.linspace(0.5, 1.5, 20)):
        given = part(pixels, rows, rows % 2, weights)
        for data in (batches.training(given, chosen, 129, 0), batches.whole(given, 6)):
            seen = []
            for x, _, *rest in data.as_numpy_iterator():
                assert len(rest) == (weights[0] != 1)
                numbers = (x[:, 0, 0, 0] * 255).round().astype(int)
                seen += numbers.tolist()
                for found in rest:
                    np.testing.assert_array_equal(found, weights[numbers].astype(np.float32))
            assert sorted(seen) == list(range(20))


# --- fit ---


def wild(rate: float, epochs: int, patience: int, monitor: str = "val_accuracy") -> Recipe:
    """A recipe whose validation goes up and down."""
    from keras.optimizers import SGD

    chosen = recipe("compact", size=8, crop=8, epochs=epochs)
    return replace(
        chosen, batch_size=8, patience=patience, monitor=monitor, optimizer=lambda steps: SGD(rate), build=linear
    )


def linear():
    from keras import Input, Sequential
    from keras.layers import Dense, Flatten

    return Sequential([Input((8, 8, 3)), Flatten(), Dense(2, activation="softmax")])


def fitted(chosen: Recipe, work: Path, report: Callable | None = None, weights: np.ndarray | None = None):
    """48 pictures of noise, each of which counts as `weights` says: 32 train, 16 validate."""
    rng = np.random.default_rng(5)
    pixels, classes = rng.integers(0, 256, (48, 8, 8, 3), np.uint8), rng.integers(0, 2, 48)
    weights = np.ones(48) if weights is None else weights
    training, held = (part(pixels, rows, classes[rows], weights[rows]) for rows in np.split(np.arange(48), [32]))
    validation = batches.whole(held, 8)
    result = fit(chosen, lambda first: batches.training(training, chosen, 129, first), validation, 4, 129, work, report)
    return result, validation


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss"])
def test_the_weights_are_those_of_the_epoch_that_the_monitor_says(monitor: str, tmp_path: Path) -> None:
    result, validation = fitted(wild(0.1, epochs=7, patience=99, monitor=monitor), tmp_path)
    values = [row[monitor] for row in result.history]
    best = max(values) if monitor == "val_accuracy" else min(values)
    assert result.best_epoch == 1 + values.index(best)  # the first of equals
    assert result.best_epoch < len(values)
    model = linear()
    model.set_weights(result.weights)
    model.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(validation, verbose=0)
    row = result.history[result.best_epoch - 1]
    assert (loss, accuracy) == pytest.approx((row["val_loss"], row["val_accuracy"]), rel=1e-5)
    assert loss != pytest.approx(result.history[-1]["val_loss"], rel=1e-5)


def mean_colour():
    """A net that sees no mirroring."""
    from keras import Input, Sequential
    from keras.layers import Dense, GlobalAveragePooling2D

    return Sequential([Input((8, 8, 3)), GlobalAveragePooling2D(), Dense(2, activation="softmax")])


def by_hand(weights: list[np.ndarray], counts: np.ndarray, rows: slice) -> tuple[float, float]:
    """Loss and accuracy of `mean_colour` with these weights on some of `fitted`'s pictures, each counting so much."""
    rng = np.random.default_rng(5)
    pixels, classes = rng.integers(0, 256, (48, 8, 8, 3), np.uint8), rng.integers(0, 2, 48)
    scores = np.exp((pixels / 255).mean((1, 2)) @ weights[0] + weights[1])
    p_right = scores[np.arange(48), classes] / scores.sum(1)
    return (
        np.average(-np.log(p_right[rows]), weights=counts[rows]),
        np.average(p_right[rows] > 0.5, weights=counts[rows]),
    )


def test_weights_count_in_loss_and_accuracy_of_training_and_validation(tmp_path: Path) -> None:
    """At rate 0 all batches see one net, which numpy can check."""
    counts = np.concatenate([np.tile([0.25, 1.75], 16), np.tile([1.5, 0.5], 8)])
    chosen = replace(wild(0.0, epochs=1, patience=9), build=mean_colour)
    result, _ = fitted(chosen, tmp_path, weights=counts)
    (row,) = result.history
    for names, rows in ((("loss", "accuracy"), slice(32)), (("val_loss", "val_accuracy"), slice(32, 48))):
        found = [row[name] for name in names]
        assert found == pytest.approx(by_hand(result.weights, counts, rows), rel=1e-5)
        for value, equal in zip(found, by_hand(result.weights, np.ones(48), rows), strict=True):
            assert value != pytest.approx(equal, rel=1e-4)


def test_weights_count_in_the_gradient(tmp_path: Path) -> None:
    """Twice the weight is twice the step, to the bit."""
    double, _ = fitted(wild(0.1, epochs=2, patience=9), tmp_path / "weight", weights=np.full(48, 2.0))
    faster, _ = fitted(wild(0.2, epochs=2, patience=9), tmp_path / "rate")
    for mine, yours in zip(double.weights, faster.weights, strict=True):
        np.testing.assert_array_equal(mine, yours)


def test_it_stops_when_patience_ends(tmp_path: Path) -> None:
    result, _ = fitted(wild(0.1, epochs=30, patience=3), tmp_path)
    assert len(result.history) == result.best_epoch + 3 < 30
    again, _ = fitted(wild(0.1, epochs=30, patience=3), tmp_path)
    assert again.history == result.history


def test_a_loss_that_is_no_number_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"loss is nan in epoch \d+"):
        fitted(wild(1e38, epochs=5, patience=9), tmp_path)


def normed():
    """A net with what compact has: moving averages and dropout."""
    from keras import Input, Sequential
    from keras.layers import BatchNormalization, Conv2D, Dense, Dropout, GlobalAveragePooling2D

    return Sequential(
        [
            Input((None, None, 3)),
            Conv2D(4, 3),
            BatchNormalization(momentum=0.9),
            GlobalAveragePooling2D(),
            Dropout(0.5),
            Dense(2, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def like_compact() -> Recipe:
    """Compact's recipe and optimizer with a net that is quickly compiled."""
    return replace(recipe("compact", size=8, crop=6, epochs=4), batch_size=8, build=normed)


@pytest.fixture(scope="module")
def uncut(like_compact: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return fitted(like_compact, tmp_path_factory.mktemp("uncut"))[0]


def cut_off_after(last: int) -> Callable[[Row, int], None]:
    def report(row: Row, epochs: int) -> None:
        if row["epoch"] == last:
            raise CutOffError

    return report


def assert_same(one: Fitted, other: Fitted) -> None:
    assert (one.history, one.best_epoch) == (other.history, other.best_epoch)
    for mine, yours in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine, yours)


def test_moving_averages_schedule_and_dropout_go_on_where_they_were(
    like_compact: Recipe, uncut: Fitted, tmp_path: Path
) -> None:
    with pytest.raises(CutOffError):
        fitted(like_compact, tmp_path, cut_off_after(2))
    assert_same(fitted(like_compact, tmp_path)[0], uncut)


def test_a_training_in_bfloat16_goes_on_where_it_was(like_compact: Recipe, tmp_path: Path) -> None:
    half = replace(like_compact, precision="bfloat16", epochs=2)
    with pytest.raises(CutOffError):
        fitted(half, tmp_path / "cut", cut_off_after(1))
    assert_same(fitted(half, tmp_path / "cut")[0], fitted(half, tmp_path / "whole")[0])


def test_bfloat16_is_near_to_float32(tmp_path: Path) -> None:
    chosen = replace(wild(0.01, epochs=1, patience=9), build=mean_colour)
    exact, _ = fitted(chosen, tmp_path / "float32")
    rough, _ = fitted(replace(chosen, precision="bfloat16"), tmp_path / "bfloat16")
    for name in ("loss", "val_loss"):
        assert rough.history[0][name] == pytest.approx(exact.history[0][name], rel=0.01)
        assert rough.history[0][name] != exact.history[0][name]
    assert {weight.dtype.name for weight in rough.weights} == {"float32"}


@pytest.mark.parametrize("damage", ["state.json", "last", "best"])
def test_a_work_folder_damaged_by_a_loss_of_power_only_costs_time(
    damage: str, like_compact: Recipe, uncut: Fitted, tmp_path: Path
) -> None:
    with pytest.raises(CutOffError):
        fitted(like_compact, tmp_path, cut_off_after(2))
    state = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / state.get(damage, damage)).write_bytes(b"")
    assert_same(fitted(like_compact, tmp_path)[0], uncut)


# --- the stage ---


def test_a_training_that_was_cut_off_ends_as_one_that_was_not(
    inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    config = TrainConfig(preset="notebook", epochs=3)
    with pytest.raises(CutOffError):
        run(config, inputs, tmp_path, cut_off_after(2))
    assert not (tmp_path / "out" / MODEL_FILE).exists()
    epochs: list[float] = []
    out = run(config, inputs, tmp_path, lambda row, total: epochs.append(row["epoch"]))
    assert epochs == [3]
    assert contents(out) == contents(model)


def test_the_same_seed_gives_the_same_bytes_in_another_process(
    inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    """Of a whole training, and of a freshly made compact model, whose file has more that could differ."""
    import keras

    program = f"""
from pathlib import Path
import keras
from artdetect import train
from artdetect.detector import Detector
from artdetect.images import Geometry
from artdetect.train.presets import compact
folder, inputs = Path({str(tmp_path)!r}), map(Path, {[str(path) for path in inputs]!r})
train.run(train.TrainConfig(preset="notebook", epochs=3), *inputs, folder, folder)
keras.utils.set_random_seed(129)
Detector(compact(), "compact", Geometry(64, "crop"), {{}}).save(folder / "compact.keras")
"""
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1], env=os.environ | {"PYTHONHASHSEED": "7"}, check=True,
    )  # fmt: skip
    assert contents(tmp_path) == contents(model)
    keras.utils.set_random_seed(129)
    Detector(compact(), "compact", Geometry(64, "crop"), {}).save(tmp_path / "here.keras")
    assert (tmp_path / "here.keras").read_bytes() == (tmp_path / "compact.keras").read_bytes()


@pytest.mark.parametrize("preset", ["notebook", "compact"])
def test_in_bfloat16_weights_and_probabilities_are_float32(preset: str) -> None:
    import keras

    from artdetect.train.fit import built

    before = keras.config.dtype_policy()
    layers = {layer.name: layer for layer in built(recipe(preset, size=16, precision="bfloat16")).layers}
    assert keras.config.dtype_policy() is before
    assert layers.pop("probabilities").compute_dtype == "float32"
    layers.pop("picture", None)
    assert {layer.compute_dtype for layer in layers.values()} == {"bfloat16"}
    assert {layer.variable_dtype for layer in layers.values()} == {"float32"}
    assert {layer.compute_dtype for layer in built(recipe(preset, size=16)).layers} == {"float32"}


def test_a_model_trained_in_bfloat16_is_stored_as_any_other(
    inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    out = run(TrainConfig(preset="notebook", epochs=1, precision="bfloat16"), inputs, tmp_path)
    configs = [zipfile.ZipFile(folder / MODEL_FILE).read("config.json") for folder in (out, model)]
    assert configs[0] == configs[1]
    cards = [read_card(folder / MODEL_FILE) for folder in (out, model)]
    assert [card.pop("precision") for card in cards] == ["bfloat16", "float32"]
    assert cards[0] == cards[1]
    mine, yours = (Detector.load(folder).model.get_weights() for folder in (out, model))
    assert any(not np.array_equal(one, other) for one, other in zip(mine, yours, strict=True))


def test_the_stage_counts_each_picture_by_the_balance_weight(
    inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    balance, pictures = inputs
    table = pd.read_parquet(balance / "balance.parquet")
    table.loc[(table.split != "test") & (table.label == "AI"), "weight"] = 3.0
    table.to_parquet(tmp_path / "balance.parquet", index=False)
    out = run(TrainConfig(preset="notebook", epochs=1), (tmp_path, pictures), tmp_path)
    before, after = (pd.read_csv(folder / "history.csv").iloc[0] for folder in (model, out))
    assert after.loss != before.loss
    assert after.val_loss != before.val_loss


def test_another_seed_is_another_model(inputs: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    other = Detector.load(run(TrainConfig(preset="notebook", epochs=3, seed=130), inputs, tmp_path))
    mine = Detector.load(model)
    assert all(
        not np.array_equal(one, another)
        for one, another in zip(mine.model.get_weights(), other.model.get_weights(), strict=True)
        if one.ndim > 1
    )


def test_the_metrics_name_the_best_epoch_and_the_model_is_that_epochs(inputs: tuple[Path, Path], model: Path) -> None:
    """On the validation pictures, and on no others, the stored model scores what the history says of its epoch."""
    from artdetect import images, labels

    metrics, history = json.loads((model / "metrics.json").read_text()), pd.read_csv(model / "history.csv")
    row = history.iloc[metrics["best_epoch"] - 1]
    assert row.val_accuracy == history.val_accuracy.max()
    assert metrics["epochs"] == len(history)
    detector = Detector.load(model)
    assert metrics["parameters"] == detector.model.count_params()

    balance, pictures = inputs
    table = pd.read_parquet(balance / "balance.parquet")
    validation = table[table.split == "validation"]
    p_ai = detector.p_ai(np.stack([images.load(pictures / path, detector.geometry) for path in validation.path]))
    truth = (validation.label == "AI").to_numpy()
    assert ((p_ai >= 0.5) == truth).mean() == pytest.approx(row.val_accuracy)
    assert -np.log(np.where(truth, p_ai, 1 - p_ai)).mean() == pytest.approx(row.val_loss, rel=1e-4)
    assert (detector.about["trained_on"], detector.about["validated_on"]) == (
        (table.split == "train").sum(),
        len(validation),
    )
    assert labels.CLASSES == ("AI", "human")


def test_validation_and_test_pictures_do_not_train(inputs: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    """With other pictures in their place the training goes the same way, and only validation differs."""
    balance, pictures = inputs
    table = pd.read_parquet(balance / "balance.parquet")
    for number, row in enumerate(table.itertuples()):
        content = (pictures / row.path).read_bytes()
        if row.split != "train":
            content = jpeg((9, number))
            table.loc[row.Index, "sha256"] = hashlib.sha256(content).hexdigest()
        if row.split != "test":  # what is not there cannot be read
            write(tmp_path / "pictures" / row.path, content)
    (tmp_path / "balance").mkdir()
    table.to_parquet(tmp_path / "balance" / "balance.parquet", index=False)
    out = run(TrainConfig(preset="notebook", epochs=3), (tmp_path / "balance", tmp_path / "pictures"), tmp_path)
    before, after = pd.read_csv(model / "history.csv"), pd.read_csv(out / "history.csv")
    assert after.loss.tolist() == before.loss.tolist()
    assert after.val_loss.tolist() != before.val_loss.tolist()
