"""Tiny nets, batches of noise and short trainings, for the tests of gradient descent."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from artdetect import train
from artdetect.pictures.images import Geometry
from artdetect.train import input_pipeline
from artdetect.train.config import TrainConfig
from artdetect.train.presets import Recipe, recipe
from artdetect.train.training_loop import FitResult, HistoryRow, fit


def keeping_after(last: int, work: Path, copy: Path) -> Callable[[HistoryRow, int], None]:
    """A callback that copies the work folder after this epoch, as a kill would leave it."""

    def on_epoch(row: HistoryRow, epochs: int) -> None:
        if row["epoch"] == last:
            shutil.copytree(work, copy)

    return on_epoch


def assert_same(one: FitResult, other: FitResult) -> None:
    assert (one.history, one.best_epoch) == (other.history, other.best_epoch)
    for mine, yours in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine, yours)


def run(config: TrainConfig, inputs: tuple[Path, Path], folder: Path, on_epoch: Callable | None = None) -> Path:
    (out := folder / "out").mkdir(parents=True, exist_ok=True)
    train.run(config, *inputs, out, folder / "work", on_epoch)
    return out


class PixelsInMemory:
    """Stands in for the pixel cache, with pictures uint8 [M, S, S, 3]."""

    def __init__(self, pixels: np.ndarray):
        self.pixels, self.geometry = pixels, Geometry(pixels.shape[1], "crop")

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.pixels[rows]


def split_of(
    pixels: np.ndarray, rows: np.ndarray, classes: np.ndarray, weights: np.ndarray | None = None
) -> input_pipeline.Split:
    sha256s = [f"{row:064x}" for row in rows]
    return input_pipeline.Split(
        PixelsInMemory(pixels), rows, classes, np.ones(len(rows)) if weights is None else weights, sha256s
    )


def wild(rate: float, epochs: int, patience: int, monitor: str = "val_accuracy", **averages: Any) -> Recipe:
    """A recipe whose validation goes up and down. `averages` are the EMA arguments of Keras's optimizers."""
    from keras.optimizers import SGD

    return replace(
        recipe("compact", size=8, crop=8, epochs=epochs),
        batch_size=8,
        patience=patience,
        monitor=monitor,
        optimizer=lambda steps: SGD(rate, **averages),
        build=linear,
    )


def linear():
    from keras import Input, Sequential
    from keras.layers import Dense, Flatten

    return Sequential([Input((8, 8, 3)), Flatten(), Dense(2, activation="softmax")])


def noise() -> tuple[np.ndarray, np.ndarray]:
    """48 pictures and their classes: 32 for training, 16 for validation."""
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (48, 8, 8, 3), np.uint8), rng.integers(0, 2, 48)


def fitted(
    chosen: Recipe, work: Path, on_epoch: Callable | None = None, weights: np.ndarray | None = None
) -> FitResult:
    """A training on `noise`, with these weights of the pictures. Fewer weights mean fewer pictures."""
    pixels, classes = noise()
    weights = np.ones(48) if weights is None else weights
    every = np.split(np.arange(len(weights)), [min(32, len(weights) - 15)])
    train, validation = (split_of(pixels, rows, classes[rows], weights[rows]) for rows in every)
    val_batches = input_pipeline.validation_batches(validation, 8, 1, chosen.replicas)
    return fit(
        chosen,
        lambda first: input_pipeline.training_batches(train, chosen, 129, first),
        val_batches,
        4,
        129,
        work,
        on_epoch,
    )


def assert_it_continues(chosen: Recipe, folder: Path) -> None:
    """A training that was killed after its first epoch ends like an uninterrupted one."""
    whole = fitted(chosen, folder / "whole", keeping_after(1, folder / "whole", folder / "killed"))
    epochs: list[float] = []
    assert_same(fitted(chosen, folder / "killed", lambda row, _: epochs.append(row["epoch"])), whole)
    assert epochs == list(range(2, len(whole.history) + 1))


def mean_colour():
    """A net that is invariant to mirroring."""
    from keras import Input, Sequential
    from keras.layers import Dense, GlobalAveragePooling2D

    return Sequential([Input((8, 8, 3)), GlobalAveragePooling2D(), Dense(2, activation="softmax")])


def normed():
    """A net with moving averages and dropout, like compact."""
    from keras import Input, Sequential
    from keras.layers import BatchNormalization, Dense, Dropout, GlobalAveragePooling2D

    return Sequential(
        [
            Input((None, None, 3)),
            BatchNormalization(momentum=0.9),
            GlobalAveragePooling2D(),
            Dropout(0.5),
            Dense(2, activation="softmax"),
        ]
    )
