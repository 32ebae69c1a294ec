"""`train.initial_weights`: a training that starts from the weights of another model."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.artifacts import file_names, leakage
from artdetect.core.errors import ConfigError, ModelError
from artdetect.model.decision import logit
from artdetect.model.detector import Detector
from artdetect.train import warm_start
from artdetect.train.config import TrainConfig
from artdetect.train.presets import recipe
from tests.train.training_helpers import keeping_after, linear, run

WARM = TrainConfig(preset="notebook", epochs=2, initial_weights="k1")


def test_initial_weights_enter_the_key_only_if_set() -> None:
    cold = TrainConfig(preset="notebook", epochs=2)
    assert "initial_weights" not in cold.key_parts()
    assert WARM.key_parts() == cold.key_parts() | {"initial_weights": "k1"}


def test_artnet_takes_no_initial_weights() -> None:
    with pytest.raises(ConfigError, match=r"train.initial_weights = 'k1'.*always fitted anew on cached features"):
        TrainConfig(preset="artnet", initial_weights="k1")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (WARM.model_copy(update={"initial_weights": "k9"}), "'k9': no such model. `artdetect models` lists the models"),
        (WARM.model_copy(update={"preset": "compact"}), "this is a notebook model. Expected a compact model"),
        (WARM.model_copy(update={"size": 40}), r"size=32.*this training .*size=40.*the same train.size"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(
    config: TrainConfig, message: str, inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        run(config, inputs, tmp_path)


def test_a_net_of_other_layers_is_an_error(model: Path) -> None:
    initial = warm_start.load_initial_weights(WARM)
    other = replace(recipe("notebook"), build=linear)
    with pytest.raises(ModelError, match="its net differs from this training's in conv1, conv2, dense"):
        warm_start.with_initial_weights(other, initial).build()


def test_a_model_names_its_own_training_pictures_and_those_of_all_its_ancestors(
    model: Path, roots: Path, trained: Path
) -> None:
    """A grandchild knows its grandparent's, whatever became of that one; it says so if an ancestor names none."""

    def child(of: str | None, key: str, *own: str) -> tuple[bool, set[str]]:
        (out := roots / "artifacts" / "train" / key).mkdir(parents=True)
        known = leakage.write_trained_on(warm_start.folder_of(of) if of else None, own, out)
        (out / "metrics.json").write_text(json.dumps({"ancestors_known": known}))
        return known, set(pd.read_parquet(out / "trained_on.parquet").sha256)

    assert child(None, "first", "a", "b") == (True, {"a", "b"})
    assert child("first", "second", "b", "c") == (True, {"a", "b", "c"})
    shutil.rmtree(roots / "artifacts" / "train" / "first")
    assert child("second", "third", "d") == (True, {"a", "b", "c", "d"})
    (roots / "artifacts" / "train" / "old").mkdir()
    (roots / "artifacts" / "train" / "old" / "metrics.json").write_text("{}")
    assert child("old", "fourth", "d") == (False, {"d"})
    assert child("fourth", "fifth", "e") == (False, {"d", "e"})

    balance = pd.read_parquet(trained / "artifacts" / "balance" / "k1" / "balance.parquet")
    used = balance[balance.split.isin(["train", "validation"])]
    assert set(pd.read_parquet(model / "trained_on.parquet").sha256) == set(used.sha256)


@pytest.mark.slow
def test_it_starts_where_the_other_ended_and_a_kill_changes_nothing(
    inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    keep = keeping_after(1, tmp_path / "whole" / "work", tmp_path / "killed" / "work")
    outs = [run(WARM, inputs, tmp_path / "whole", keep), run(WARM, inputs, tmp_path / "killed")]
    for name in (file_names.MODEL, "history.csv", "metrics.json"):
        assert len({hashlib.sha256((out / name).read_bytes()).hexdigest() for out in outs}) == 1, name
    cold, warm = (pd.read_csv(folder / "history.csv") for folder in (model, outs[0]))
    assert warm.loss[0] < cold.loss[0]


def test_before_training_its_logits_are_those_of_the_other_model_without_temperature(model: Path) -> None:
    pictures = np.random.default_rng(1).random((4, 32, 32, 3), np.float32)
    detector = Detector.load(model)
    warm = warm_start.with_initial_weights(recipe("notebook"), warm_start.load_initial_weights(WARM)).build()
    card = detector.metadata
    p_ai = (np.asarray(detector.classifier(pictures), float)[:, 0] - card["p_min"]) / (card["p_max"] - card["p_min"])
    expected = logit(np.stack([p_ai, 1 - p_ai], axis=1)) * card["temperature"]
    np.testing.assert_allclose(logit(np.asarray(warm(pictures), float)), expected, rtol=1e-3, atol=1e-4)
