"""`artnet` and `finetune` on an encoder of keras-hub: training, model file, explanations, robustness, export."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.artifacts import file_names
from artdetect.evaluate import robustness
from artdetect.explain.method_settings import METHODS
from artdetect.explain.methods import make
from artdetect.model import backbones
from artdetect.model.detector import Detector
from artdetect.model.export import FORMATS, Format, export
from artdetect.model.extractor import Extractor
from artdetect.pictures.corruptions import GRID
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache
from artdetect.stats.bootstrap import Bootstrap
from artdetect.train import artnet, finetune
from artdetect.train.config import TrainConfig
from tests.model.backbones.vits import LAYERS, SIDE, WIDTH, tiny_vit
from tests.train.training_helpers import keeping_after, run

pytestmark = pytest.mark.slow

SETTINGS = {
    "evidence": {},
    "xrai": {"steps": 4},
    "integrated_gradients": {"steps": 8},
    "blur_ig": {"steps": 4, "max_sigma": 4},
    "smoothgrad": {"samples": 2},
    "gradcam": {},
}
LOADED_ALONE = """
import sys
sys.modules["keras_hub"] = None  # importing it fails
import numpy as np
from artdetect.model.detector import Detector
detector = Detector.load(__import__("pathlib").Path(sys.argv[1]))
np.save(sys.argv[2], detector.p_ai(np.load(sys.argv[3])))
"""


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_vit(tmp_path_factory.mktemp("vit") / "preset")


@pytest.fixture(scope="module")
def config(vit: str) -> TrainConfig:
    blocks = (f"block1..block{LAYERS}", "class")
    return TrainConfig(backbone=vit, size=SIDE, feature_blocks=blocks, degraded_views=1, pca_components=12)


@pytest.fixture
def data(trained: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The balance artifact and the pictures of the shared tiny set."""
    monkeypatch.setenv("ARTDETECT_DATA", str(trained / "data"))
    return trained / "artifacts" / "balance" / "k1", trained / "data" / "raw" / "art"


@pytest.fixture(scope="module")
def file(trained: Path, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """artnet's model file."""
    inputs = (trained / "artifacts" / "balance" / "k1", trained / "data" / "raw" / "art")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(trained / "data"))
        return run(config, inputs, tmp_path_factory.mktemp("artnet")) / file_names.MODEL


@pytest.fixture(scope="module")
def detector(file: Path) -> Detector:
    return Detector.load(file)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(8).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


def test_the_trained_model_gives_the_encoders_features(
    detector: Detector, config: TrainConfig, pixels: np.ndarray
) -> None:
    extractor = artnet.make_extractor(config)
    assert detector.frozen is not None
    assert detector.frozen.width == LAYERS * 2 * WIDTH + WIDTH
    expected = np.asarray(extractor.build()(pixels.astype(np.float32) / 255))
    np.testing.assert_allclose(detector.features(pixels), expected, rtol=0, atol=1e-4)
    assert len(np.unique(detector.p_ai(pixels))) == len(pixels)


@pytest.mark.slow
def test_the_model_file_needs_no_keras_hub(file: Path, detector: Detector, pixels: np.ndarray, tmp_path: Path) -> None:
    assert b"keras_hub" not in file.read_bytes()
    np.save(tmp_path / "pixels.npy", pixels)
    arguments = [str(path) for path in (file, tmp_path / "p.npy", tmp_path / "pixels.npy")]
    subprocess.run([sys.executable, "-c", LOADED_ALONE, *arguments], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), detector.p_ai(pixels))


def test_training_again_gives_the_same_bytes(
    file: Path, config: TrainConfig, data: tuple[Path, Path], tmp_path: Path
) -> None:
    assert (run(config, data, tmp_path) / file_names.MODEL).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_every_explanation_method_works(detector: Detector, method: str) -> None:
    picture = np.random.default_rng(3).random((1, SIDE, SIDE, 3), np.float32)
    found = make(method, detector.classifier, **SETTINGS[method])(picture)[0]
    assert found.heatmap.shape == (SIDE, SIDE)
    assert np.isfinite(found.heatmap).all()
    assert np.ptp(found.heatmap) > 0


def test_integrated_gradients_account_for_the_score(detector: Detector) -> None:
    """The gradient through the encoder is right: its path integral is the change of the score."""
    picture = np.random.default_rng(3).random((1, SIDE, SIDE, 3), np.float32)
    found = make("integrated_gradients", detector.classifier, steps=256)(picture)[0]
    assert found.completeness_error is not None
    assert found.completeness_error < 0.05


def test_a_blocks_gradient_is_that_of_all_later_layers(vit: str) -> None:
    """Grad-CAM differentiates by a block's patches, which reach the class token through later blocks."""
    import keras
    import tensorflow as tf

    net = backbones.load(vit)
    blocks = backbones.block_outputs(net)
    model = keras.Model(net.input, [blocks["block1"], blocks["class"], blocks["block2"]])
    with tf.GradientTape() as tape:
        tape.watch(picture := tf.random.stateless_uniform((1, SIDE, SIDE, 3), (1, 2)))
        first, token, last = model(picture)
        score = tf.reduce_sum(token[..., 0])
    by_first, by_last = tape.gradient(score, [first, last], unconnected_gradients="zero")
    assert (np.abs(by_first).max(axis=-1) > 1e-6).all()
    assert not np.any(by_last)  # no block follows that would pass them on


def test_robustness_is_measured_on_every_degradation(
    detector: Detector, data: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pd.read_parquet(next(data[0].glob("*.parquet")))
    table = table.drop_duplicates("sha256").groupby("label").head(3)
    cache = PixelCache(detector.geometry)
    cache.ensure([(row.sha256, data[1] / row.path) for row in table.itertuples()])
    p_ai = detector.p_ai(cache.read(cache.rows(list(table.sha256))))
    reasons = detector.rule.reasons(p_ai)
    sample = table[["sha256", "label"]].assign(
        p_ai=p_ai,
        predicted=detector.rule.predicted(p_ai),
        verdict=detector.rule.verdicts(p_ai, reasons),
        reason=reasons,
    )
    result, _ = robustness.robustness_table(detector, cache, sample, Bootstrap(20, 0), lambda *_: None)
    assert len(result["rows"]) == 1 + len(GRID)


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_gives_the_same_outputs(detector: Detector, format: Format, tmp_path: Path) -> None:
    differences = export(detector, format, tmp_path / "out").differences  # it refuses an export that differs
    assert differences["probabilities"] < 1e-4


@pytest.mark.slow
def test_the_mirror_image_can_be_averaged(
    vit: str, config: TrainConfig, data: tuple[Path, Path], tmp_path: Path
) -> None:
    two = Detector.load(run(config.model_copy(update={"test_time_views": 2}), data, tmp_path))
    pixels = np.random.default_rng(8).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    np.testing.assert_allclose(two.p_ai(pixels), two.p_ai(pixels[:, :, ::-1]), rtol=0, atol=1e-5)


# --- finetune ---


def trained_layers(vit: str, unfreeze: str) -> set[str]:
    extractor = Extractor(vit, ("block1..block2",), Geometry(SIDE, "crop"))
    return {layer.name for layer in finetune.backbone(extractor, unfreeze).layers if layer.trainable_weights}


def test_blocks_train_from_one_on(vit: str) -> None:
    parts = ("norm1", "attention_qkv", "attention_output", "norm2", "dense1", "dense2")
    second = {f"block2_{part}" for part in parts}
    every = {"tokens"} | {f"block1_{part}" for part in parts} | second
    assert trained_layers(vit, "all") == trained_layers(vit, "stem") == every
    assert trained_layers(vit, "block1") == every - {"tokens"}
    assert trained_layers(vit, "block2") == second


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_is_finetuned(
    precision: str, vit: str, config: TrainConfig, data: tuple[Path, Path], tmp_path: Path
) -> None:
    """From the second block on: what comes before stays as it was, also after a kill, from which it continues."""
    chosen = {"preset": "finetune", "epochs": 2, "unfreeze": "block2", "precision": precision}
    config = config.model_copy(update=chosen)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    file = run(config, data, whole, keeping_after(1, whole / "work", killed / "work")) / file_names.MODEL
    assert (run(config, data, killed) / file_names.MODEL).read_bytes() == file.read_bytes()
    before = {layer.name: layer.get_weights() for layer in backbones.load(vit).layers}
    changed = set()
    for layer in Detector.load(file).model.layers:
        if old := before.get(layer.name):
            same = all(np.array_equal(*pair) for pair in zip(layer.get_weights(), old, strict=True))
            changed |= set() if same else {layer.name}
    parts = ("norm1", "attention_qkv", "attention_output", "norm2", "dense1", "dense2")
    assert changed == {f"block2_{part}" for part in parts} | {"norm"}
