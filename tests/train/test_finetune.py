"""`finetune` starts as artnet, trains the chosen blocks on degraded views, and outputs probabilities only."""

import functools
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.artifacts import file_names
from artdetect.core.errors import ConfigError
from artdetect.model import backbones, tensorflow_setup
from artdetect.model.card import read_card
from artdetect.model.detector import Detector
from artdetect.model.extractor import Extractor
from artdetect.pictures import degraded_views, images
from artdetect.pictures.images import Geometry
from artdetect.train import finetune, heads
from artdetect.train.config import TrainConfig
from artdetect.train.inputs import TrainingInputs
from artdetect.train.training_loop import precision_policy
from tests.train.training_helpers import keeping_after, run

tensorflow_setup.load_tensorflow()
import keras  # noqa: E402

pytestmark = pytest.mark.slow

EXTRACTOR = Extractor("efficientnet-lite0", ("stem..block1",), Geometry(32, "crop"))
PICTURES = np.random.default_rng(1).random((6, 32, 32, 3), np.float32)
CONFIG = TrainConfig(
    preset="finetune",
    size=32,
    feature_blocks=("stem..block1",),
    degraded_views=1,
    pca_components=20,
    epochs=2,
    unfreeze="block1",
)


@pytest.fixture(scope="module")
def tuned(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of a short training on the shared tiny set."""
    inputs = (trained / "artifacts" / "balance" / "k1", trained / "data" / "raw" / "art")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(trained / "data"))
        folder = tmp_path_factory.mktemp("tuned")
        return run(CONFIG, inputs, folder, keeping_after(1, folder / "work", folder / "killed" / "work"))


@functools.cache
def net() -> keras.Model:
    return EXTRACTOR.build()


def artnet_parts(sizes: tuple[int, ...]) -> tuple[heads.Embedding, heads.Head]:
    """An embedding and a head with hidden layers of these sizes, as artnet might fit them."""
    rng = np.random.default_rng(2)
    features = net()(rng.random((40, 32, 32, 3), np.float32)).numpy()
    widths = zip((8, *sizes), (*sizes, 2), strict=True)
    layers = tuple((rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[1:])) for shape in widths)
    return heads.fit_embedding(heads.Moments.of([features], features.mean(axis=0)), 8), heads.Head(layers)


def trainable(model: keras.Model) -> set[str]:
    return {layer.name for layer in model.layers if layer.trainable_weights}


# --- the initial net ---


@pytest.mark.parametrize("sizes", [(), (5, 4)])
def test_before_training_its_probabilities_are_those_of_artnet(sizes: tuple[int, ...]) -> None:
    embedding, head = artnet_parts(sizes)
    logits = head(embedding(net()(PICTURES).numpy()))
    p = finetune.assemble(EXTRACTOR, embedding, head, "all")(PICTURES).numpy()
    np.testing.assert_allclose(p, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_in_half_precision_only_the_backbone_is(precision: str) -> None:
    with precision_policy(precision):
        model, rough = finetune.assemble(EXTRACTOR, *artnet_parts(()), "all"), finetune.backbone(EXTRACTOR, "all")
    backbone = {layer.compute_dtype for layer in model.layers if layer.name.startswith(("stem", "block"))}
    assert backbone == {precision}
    assert {model.get_layer(name).compute_dtype for name in ("embedding", "probabilities")} == {"float32"}
    exact = finetune.assemble(EXTRACTOR, *artnet_parts(()), "all")
    assert [weight.path for weight in model.weights] == [weight.path for weight in exact.weights]
    found, expected = rough(PICTURES).numpy(), net()(PICTURES).numpy()
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 0.05 * expected.max()


# --- trainable layers ---


def test_layers_train_from_a_block_on() -> None:
    every = {f"{block}_{part}" for block in ("block0", "block1") for part in ("depthwise", "project")}
    every |= {"stem_conv", "block1_expand"}
    assert trainable(finetune.backbone(EXTRACTOR, "all")) == trainable(finetune.backbone(EXTRACTOR, "stem")) == every
    assert trainable(finetune.backbone(EXTRACTOR, "block0")) == every - {"stem_conv"}
    only = finetune.assemble(EXTRACTOR, *artnet_parts(()), "block1")
    assert trainable(only) == {name for name in every if name.startswith("block1")} | {"embedding", "probabilities"}


@pytest.mark.parametrize(
    ("block", "reason"),
    [("block99", "Choose all, stem, block0"), ("block2", "comes after the last of train.feature_blocks")],
)
def test_a_block_that_cannot_train_is_a_config_error_before_features_are_computed(block: str, reason: str) -> None:
    config = CONFIG.model_copy(update={"unfreeze": block})
    nothing = pd.DataFrame()
    with pytest.raises(ConfigError, match=f"train.unfreeze = '{block}'.*{reason}"):
        finetune.train(TrainingInputs(config, nothing, nothing, Path()))


def test_batch_normalisation_stays_as_it_was_pretrained(tmp_path: Path) -> None:
    own = keras.applications.MobileNet(include_top=False, weights=None)
    own.save_weights(tmp_path / "random.weights.h5")
    weights = str(tmp_path / "random.weights.h5")
    extractor = Extractor("MobileNet", ("stride2", "stride4"), Geometry(32, "crop"), weights)
    model = finetune.backbone(extractor, "stride4")
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    assert not any(layer.trainable for layer in norms)
    before = [layer.get_weights() for layer in norms]
    np.testing.assert_array_equal(model(PICTURES, training=True), model(PICTURES, training=False))
    for layer, old in zip(norms, before, strict=True):
        np.testing.assert_array_equal(np.stack(layer.get_weights()), np.stack(old))
    names = trainable(model)
    assert "conv_dw_2" in names
    assert "conv1" not in names


# --- the stage ---


def test_it_lowers_the_loss_and_the_model_outputs_probabilities_only(tuned: Path) -> None:
    history, metrics = pd.read_csv(tuned / "history.csv"), json.loads((tuned / "metrics.json").read_text())
    assert history.loss.is_monotonic_decreasing
    assert set(metrics["start"]) == {"head", "penalty", "out_of_source_loss"}
    detector = Detector.load(tuned)
    assert (detector.preset, detector.families) == ("finetune", ())
    scores = detector.scores(np.zeros((2, 32, 32, 3), np.uint8))
    assert (scores.novelty, scores.generators, scores.embedding) == (None, None, None)
    assert "temperature" in read_card(tuned / file_names.MODEL)


def test_only_the_weights_of_unfrozen_blocks_change(tuned: Path) -> None:
    model, pretrained = Detector.load(tuned).model, backbones.load("efficientnet-lite0")
    for layer in ("stem_conv", "block0_depthwise", "block0_project", "block1_expand", "block1_project"):
        same = np.array_equal(*(net.get_layer(layer).get_weights()[0] for net in (model, pretrained)))
        assert same == (not layer.startswith("block1"))


def test_the_stored_model_has_the_scores_in_the_history_on_clean_and_degraded_validation(
    tuned: Path, inputs: tuple[Path, Path]
) -> None:
    balance, pictures = inputs
    detector, metrics = Detector.load(tuned), json.loads((tuned / "metrics.json").read_text())
    table = pd.read_parquet(balance / "balance.parquet").query("split == 'validation'")
    views = [
        degraded_views.degraded_view(images.load(pictures / row.path, detector.geometry), row.sha256, number)
        for number in (0, 1)
        for row in table.itertuples()
    ]
    net = keras.Model(detector.model.input, detector.model.get_layer("logits").output)  # no temperature yet
    logits = net(images.to_input(np.stack(views))).numpy()
    ai_logits = logits[:, 0] - logits[:, 1]
    truth = np.tile(table.label == "AI", 2)
    row = pd.read_csv(tuned / "history.csv").iloc[metrics["best_epoch"] - 1]
    assert np.logaddexp(0, np.where(truth, -ai_logits, ai_logits)).mean() == pytest.approx(row.val_loss, rel=1e-3)
    assert ((ai_logits >= 0) == truth).mean() == pytest.approx(row.val_accuracy)


def test_killed_it_ends_with_the_same_bytes(tuned: Path, inputs: tuple[Path, Path]) -> None:
    out = run(CONFIG, inputs, tuned.parent / "killed")
    for name in (file_names.MODEL, "history.csv", "metrics.json"):
        mine, yours = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for folder in (out, tuned))
        assert mine == yours, name


# --- initial weights ---


def test_it_continues_from_another_model_without_computing_features(
    tuned: Path, inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path / "data"))
    shutil.copytree(tuned, tmp_path / "artifacts" / "train" / "before")
    config = CONFIG.model_copy(
        update={"initial_weights": "before", "pca_components": 7, "epochs": 1}
    )  # the embedding is that of `before`
    out = run(config, inputs, tmp_path)
    assert [folder.name for folder in (tmp_path / "data" / "cache").iterdir()] == ["pixels"]
    assert json.loads((out / "metrics.json").read_text())["start"] == {"train": "before"}
    first, before = (pd.read_csv(folder / "history.csv") for folder in (out, tuned))
    assert first.loss[0] < before.loss[0]
    mine, its = (Detector.load(folder).model for folder in (out, tuned))
    for layer in ("stem_conv", "block0_project"):  # frozen in both
        np.testing.assert_array_equal(*(net.get_layer(layer).get_weights()[0] for net in (mine, its)))
    assert mine.get_layer("embedding").units == its.get_layer("embedding").units
