"""`train.start`: a training that begins with another's weights."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.core.errors import ConfigError, ModelError
from artdetect.model.decision import logit
from artdetect.model.detector import MODEL_FILE, Detector
from artdetect.train import warm_start
from artdetect.train.config import TrainConfig
from artdetect.train.presets import recipe
from tests.train.training_helpers import keeping_after, linear, run

WARM = TrainConfig(preset="notebook", epochs=2, start="k1")


def test_only_a_start_enters_the_key() -> None:
    cold = TrainConfig(preset="notebook", epochs=2)
    assert "start" not in cold.key_parts()
    assert WARM.key_parts() == cold.key_parts() | {"start": "k1"}


def test_artnet_cannot_begin_with_weights() -> None:
    with pytest.raises(ConfigError, match=r"train.start = 'k1'.*always fitted anew on cached features"):
        TrainConfig(preset="artnet", start="k1")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (WARM.model_copy(update={"start": "k9"}), "'k9': there is no such model. `artdetect models` lists them"),
        (WARM.model_copy(update={"preset": "compact"}), "a notebook model cannot begin a compact"),
        (WARM.model_copy(update={"size": 40}), r"size=32.*this training at .*size=40.*the same train.size"),
    ],
)
def test_what_does_not_fit_is_an_error(
    config: TrainConfig, said: str, inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=said):
        run(config, inputs, tmp_path)


def test_a_net_of_other_layers_is_an_error(model: Path) -> None:
    start = warm_start.load_initial_weights(WARM)
    other = replace(recipe("notebook"), build=linear)
    with pytest.raises(ModelError, match="its net is another than this training's: conv1, conv2, dense"):
        warm_start.with_initial_weights(other, start).build()


def test_it_begins_where_the_other_ended_and_a_kill_changes_nothing(
    inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    keep = keeping_after(1, tmp_path / "whole" / "work", tmp_path / "killed" / "work")
    outs = [run(WARM, inputs, tmp_path / "whole", keep), run(WARM, inputs, tmp_path / "killed")]
    for name in (MODEL_FILE, "history.csv", "metrics.json"):
        assert len({hashlib.sha256((out / name).read_bytes()).hexdigest() for out in outs}) == 1, name
    cold, warm = (pd.read_csv(folder / "history.csv") for folder in (model, outs[0]))
    assert warm.loss[0] < cold.loss[0]


def test_its_net_judges_as_the_other_did_before_the_temperature(model: Path) -> None:
    pictures = np.random.default_rng(1).random((4, 32, 32, 3), np.float32)
    detector = Detector.load(model)
    begun = warm_start.with_initial_weights(recipe("notebook"), warm_start.load_initial_weights(WARM)).build()
    expected = logit(np.asarray(detector.classifier(pictures), float)) * detector.about["temperature"]
    np.testing.assert_allclose(logit(np.asarray(begun(pictures), float)), expected, rtol=1e-3, atol=1e-4)
