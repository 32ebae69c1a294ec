"""The nets and recipes of `notebook`, which are the notebook's own, and of `compact`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.train import input_pipeline
from artdetect.train.config import TrainConfig
from artdetect.train.presets import compact, notebook, recipe
from benchmarks.notebook import network as original


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
    assert (input_pipeline.ROTATION, input_pipeline.ZOOM) == (7, 0.2)


def test_the_notebooks_rate_hardly_decays_over_its_30_epochs_of_100000_pictures() -> None:
    chosen = recipe("notebook")
    optimizer = chosen.optimizer(1)
    optimizer.iterations.assign(30 * input_pipeline.steps_per_epoch(100_000, chosen))
    assert float(optimizer.learning_rate) == pytest.approx(0.000967, abs=5e-7)


def test_the_history_records_the_learning_rate(inputs: tuple[Path, Path], model: Path) -> None:
    history = pd.read_csv(model / "history.csv")
    assert list(history.epoch) == [1, 2, 3]
    assert list(history.rate) == pytest.approx([1e-3 * 0.99 ** (step / 14_067) for step in (1, 2, 3)], rel=1e-6)
    assert list(history.columns) == ["epoch", "rate", "loss", "accuracy", "val_loss", "val_accuracy"]


def test_compact_is_small_and_takes_pictures_of_any_size() -> None:
    net = compact()
    assert net.count_params() < 1_000_000
    for shape in ((1, 64, 64, 3), (2, 40, 56, 3)):
        p = net(np.zeros(shape, np.float32)).numpy()
        assert p.shape == (shape[0], 2)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("preset", ["notebook", "compact"])
@pytest.mark.parametrize("size", [10, 11, 64])
def test_every_size_that_the_config_allows_makes_a_net(preset: str, size: int) -> None:
    chosen = recipe(TrainConfig(preset=preset, size=size).preset, size=size)
    assert chosen.geometry.size == size
    assert chosen.build()(np.zeros((1, size, size, 3), np.float32)).shape == (1, 2)
