"""Several devices train the same net as one. Here they are two logical CPUs, which a process must configure first."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from artdetect.model.detector import Detector
from tests import PROJECT

pytestmark = pytest.mark.slow

PROGRAM = """
import json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from artdetect.model import tensorflow_setup
tensorflow_setup.load_tensorflow()
import tensorflow as tf
(processor,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
from artdetect.train.config import TrainConfig
from artdetect.train import distribution
from artdetect.train.presets import adamw
from tests.train.training_helpers import fitted, keeping_after, normed, run, wild

folder, inputs, both = Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]], distribution.device_names("all")
assert distribution.device_names("one") == () and len(both) == 2

def train(name, chosen, weights=None, copy=None):
    on_epoch = keeping_after(1, folder / name, folder / copy) if copy else None
    result = fitted(chosen, folder / name, on_epoch, weights)
    (folder / f"{name}.json").write_text(json.dumps(result.history))
    np.savez(folder / f"{name}.npz", *result.weights)

def linear_net(rate, epochs):
    def optimizer(steps):
        return adamw(steps, rate, use_ema=True, ema_momentum=0.5)
    return replace(wild(rate, epochs, 9, "val_loss"), optimizer=optimizer)

moving, counts = linear_net(1e-3, 2), np.linspace(0.5, 1.5, 45)
train("one", moving, counts)
moving = replace(moving, devices=both)
train("both", moving, counts)
like_compact = replace(moving, build=normed)
train("whole", like_compact, copy="killed")
train("killed", like_compact)
run(TrainConfig(preset="notebook", epochs=1, devices="all"), inputs, folder)
"""


@pytest.fixture(scope="module")
def results(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """History and weights of each training in the program, and the folder of the stage's outputs."""
    folder = tmp_path_factory.mktemp("devices")
    places = (folder, trained / "artifacts" / "balance" / "k1", trained / "data" / "raw" / "art")
    subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, places)], cwd=PROJECT, check=True,
        env=os.environ | {"ARTDETECT_DATA": str(folder / "data")},
    )  # fmt: skip
    histories = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    weights = {file.stem: list(np.load(file).values()) for file in folder.glob("*.npz")}
    return SimpleNamespace(histories=histories, weights=weights, out=folder / "out")


def test_two_devices_train_what_one_trains(results: SimpleNamespace) -> None:
    """With weighted pictures, 15 of them for validation, batches that are not full, and averaged weights."""
    for mine, yours in zip(results.histories["both"], results.histories["one"], strict=True):
        assert mine == pytest.approx(yours, rel=1e-4)
    for mine, yours in zip(results.weights["both"], results.weights["one"], strict=True):
        np.testing.assert_allclose(mine, yours, atol=1e-5)


def test_a_killed_training_on_two_devices_continues(results: SimpleNamespace) -> None:
    """With normalisation, dropout and averaged weights."""
    assert results.histories["killed"] == results.histories["whole"]
    for mine, yours in zip(results.weights["killed"], results.weights["whole"], strict=True):
        np.testing.assert_array_equal(mine, yours)


def test_the_stage_writes_a_model_that_one_device_can_use(results: SimpleNamespace) -> None:
    detector = Detector.load(results.out)
    p_ai = detector.p_ai(np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8))
    assert ((p_ai > 0) & (p_ai < 1)).all()
