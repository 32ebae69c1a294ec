"""The stage with a net trained by gradient descent: its outputs, what they depend on, and a kill."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.artifacts import file_names
from artdetect.model.card import read_card
from artdetect.model.decision import logit
from artdetect.model.detector import Detector
from artdetect.model.probabilities import Calibration
from artdetect.pictures.images import Geometry
from artdetect.train import gradient_training
from artdetect.train.config import TrainConfig
from artdetect.train.presets import compact, recipe
from tests import PROJECT
from tests.tiny_dataset import jpeg, write
from tests.train.training_helpers import run

OUTPUTS = (file_names.MODEL, "history.csv", "metrics.json")


def mapped_caches() -> int:
    """How many pixel caches this process has mapped."""
    return Path("/proc/self/maps").read_text().count("pixels.u8")


def contents(out: Path) -> dict[str, str]:
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in OUTPUTS}


@pytest.fixture(scope="module")
def elsewhere(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which another process wrote the outputs of the same training and a new compact model, whose file has
    more that could differ. `killed` is the work folder that a kill after two epochs would leave.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    inputs = [trained / "artifacts" / "balance" / "k1", trained / "data" / "raw" / "art"]
    program = f"""
from pathlib import Path
import keras
from artdetect.model.detector import Detector
from artdetect.model.probabilities import Calibration
from artdetect.pictures.images import Geometry
from artdetect.train.config import TrainConfig
from artdetect.train.presets import compact
from tests.train.training_helpers import keeping_after, run
folder, inputs = Path({str(folder)!r}), tuple(map(Path, {[str(path) for path in inputs]!r}))
keep = keeping_after(2, folder / "work", folder / "killed" / "work")
run(TrainConfig(preset="notebook", epochs=3), inputs, folder, keep)
keras.utils.set_random_seed(129)
Detector(compact(), "compact", Geometry(64, "crop"), {{}}).save(folder / "compact.keras")
"""
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT, check=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "ARTDETECT_DATA": str(trained / "data")},
    )  # fmt: skip
    return folder


@pytest.mark.bits
@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_in_another_process(elsewhere: Path, model: Path) -> None:
    import keras

    assert contents(elsewhere / "out") == contents(model)
    keras.utils.set_random_seed(129)
    Detector(compact(), "compact", Geometry(64, "crop"), {}).save(elsewhere / "here.keras")
    assert (elsewhere / "here.keras").read_bytes() == (elsewhere / "compact.keras").read_bytes()


@pytest.mark.bits
@pytest.mark.slow
def test_a_killed_training_ends_like_an_uninterrupted_one(
    inputs: tuple[Path, Path], model: Path, elsewhere: Path
) -> None:
    epochs: list[float] = []
    config = TrainConfig(preset="notebook", epochs=3)
    out = run(config, inputs, elsewhere / "killed", lambda row, total: epochs.append(row["epoch"]))
    assert epochs == [3]
    assert contents(out) == contents(model)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["notebook", "compact"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_in_half_precision_weights_and_probabilities_are_float32(preset: str, precision: str) -> None:
    import keras

    from artdetect.train.training_loop import precision_policy

    before = keras.config.dtype_policy()
    with precision_policy(precision):
        layers = {layer.name: layer for layer in recipe(preset, size=16).build().layers}
    assert keras.config.dtype_policy() is before
    assert layers.pop("probabilities").compute_dtype == "float32"
    layers.pop("picture", None)
    assert {layer.compute_dtype for layer in layers.values()} == {precision}
    assert {layer.variable_dtype for layer in layers.values()} == {"float32"}
    assert {layer.compute_dtype for layer in recipe(preset, size=16).build().layers} == {"float32"}


@pytest.mark.slow
def test_a_model_trained_in_bfloat16_is_stored_like_any_other(
    inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    out = run(TrainConfig(preset="notebook", epochs=1, precision="bfloat16"), inputs, tmp_path)
    cards = [read_card(folder / file_names.MODEL) for folder in (out, model)]
    configs = [zipfile.ZipFile(folder / file_names.MODEL).read("config.json").decode() for folder in (out, model)]
    for place, card in enumerate(cards):  # the numbers of the calibration
        bounds = [card["p_min"], 1 - card["p_max"]]
        for name, value in (
            ("scale", 1 / card["temperature"]), ("scale", card["p_max"] - card["p_min"]), ("offset", bounds)
        ):  # fmt: skip
            assert f'"{name}": {value}' in configs[place]
            configs[place] = configs[place].replace(f'"{name}": {value}', "")
    assert configs[0] == configs[1]
    assert [card.pop("precision") for card in cards] == ["bfloat16", "float32"]
    fitted = {"temperature": 0, "p_min": 0, "p_max": 1, "rule": {}, "onnx": {}}
    assert [card | fitted for card in cards] == [cards[0] | fitted] * 2
    mine, yours = (Detector.load(folder).model.get_weights() for folder in (out, model))
    assert any(not np.array_equal(one, other) for one, other in zip(mine, yours, strict=True))


@pytest.mark.parametrize("mark", ["", "Demonstration: true\n\n"])
def test_the_card_holds_what_the_data_set_says(mark: str, inputs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "balance").mkdir()
    (tmp_path / "balance" / "balance.parquet").write_bytes((inputs[0] / "balance.parquet").read_bytes())
    write(tmp_path / "balance" / "notice.txt", f"{mark}Painted by hand.\n".encode())
    out = run(TrainConfig(preset="notebook", epochs=1), (tmp_path / "balance", inputs[1]), tmp_path)
    card, detector = read_card(out / file_names.MODEL), Detector.load(out)
    assert (card["notice"], card["demonstration"]) == ("Painted by hand.", bool(mark))
    assert (detector.notice, detector.demonstration) == ("Painted by hand.", bool(mark))


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


@pytest.mark.parametrize("preset", ["notebook", "compact"])
def test_a_calibrated_net_divides_its_logits_and_keeps_its_probabilities_within_the_bounds(preset: str) -> None:
    pictures = np.random.default_rng(1).random((3, 16, 16, 3), np.float32)
    net = recipe(preset, size=16).build()
    mapping = Calibration(2.5, 0.1, 0.95)
    calibrated = gradient_training.calibrated(net, mapping)
    names = [layer.name for layer in calibrated.layers[-4:]]
    assert names == ["logits", "temperature", "softmax", "probabilities"]
    before, found = (model(pictures).numpy().astype(float) for model in (net, calibrated))
    np.testing.assert_allclose(found[:, 0], mapping(logit(before[:, 0])), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert calibrated.count_params() == net.count_params()


def test_another_seed_is_another_model_and_a_training_leaves_no_cache_open(
    inputs: tuple[Path, Path], model: Path, tmp_path: Path
) -> None:
    before = mapped_caches()
    other = Detector.load(run(TrainConfig(preset="notebook", epochs=1, seed=130), inputs, tmp_path))
    assert mapped_caches() == before
    mine = Detector.load(model)
    assert all(
        not np.array_equal(one, another)
        for one, another in zip(mine.model.get_weights(), other.model.get_weights(), strict=True)
        if one.ndim > 1
    )


def test_the_metrics_name_the_best_epoch_and_the_model_is_that_epochs(inputs: tuple[Path, Path], model: Path) -> None:
    """Without its calibration, the stored model has the validation scores of the best epoch in the history."""
    import keras

    from artdetect.pictures import images, labels

    metrics, history = json.loads((model / "metrics.json").read_text()), pd.read_csv(model / "history.csv")
    row = history.iloc[metrics["best_epoch"] - 1]
    assert row.val_accuracy == history.val_accuracy.max()
    assert metrics["epochs"] == len(history)
    detector = Detector.load(model)
    assert metrics["parameters"] == detector.model.count_params()

    balance, pictures = inputs
    table = pd.read_parquet(balance / "balance.parquet")
    validation = table[table.split == "validation"]
    pixels = np.stack([images.load(pictures / path, detector.geometry) for path in validation.path])
    net = keras.Model(detector.model.inputs[0], detector.model.get_layer("logits").output)
    logits = net(images.to_input(pixels)).numpy().astype(float) @ [1, -1]
    truth = (validation.label == "AI").to_numpy()
    assert ((logits >= 0) == truth).mean() == pytest.approx(row.val_accuracy)
    assert np.logaddexp(0, np.where(truth, -logits, logits)).mean() == pytest.approx(row.val_loss, rel=1e-4)
    mapping = Calibration(*(detector.metadata[name] for name in ("temperature", "p_min", "p_max")))
    np.testing.assert_allclose(detector.p_ai(pixels), mapping(logits), rtol=1e-4)
    assert metrics["in_source"]["balanced_accuracy"]["value"] == pytest.approx(
        np.mean([((mapping(logits) >= 0.5) == truth)[truth == side].mean() for side in (True, False)])
    )
    assert metrics["calibration"]["pictures"] == len(validation)
    assert detector.metadata["enough_sources"] is False  # no source was held out
    assert "out_of_source" not in metrics
    assert (detector.metadata["trained_on"], detector.metadata["validated_on"]) == (
        (table.split == "train").sum(),
        len(validation),
    )
    assert labels.CLASSES == ("AI", "human")


def test_validation_and_test_pictures_do_not_train(inputs: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    """With other pictures in their place the training is the same, and only validation differs."""
    balance, pictures = inputs
    table = pd.read_parquet(balance / "balance.parquet")
    for number, row in enumerate(table.itertuples()):
        content = (pictures / row.path).read_bytes()
        if row.split != "train":
            content = jpeg((9, number))
            table.loc[row.Index, "sha256"] = hashlib.sha256(content).hexdigest()
        if row.split != "test":  # a missing file cannot be read
            write(tmp_path / "pictures" / row.path, content)
    (tmp_path / "balance").mkdir()
    table.to_parquet(tmp_path / "balance" / "balance.parquet", index=False)
    out = run(TrainConfig(preset="notebook", epochs=3), (tmp_path / "balance", tmp_path / "pictures"), tmp_path)
    before, after = pd.read_csv(model / "history.csv"), pd.read_csv(out / "history.csv")
    assert after.loss.tolist() == before.loss.tolist()
    assert after.val_loss.tolist() != before.val_loss.tolist()
