"""`artnet` from pictures to a model file: the assembled net gives the same outputs as its parts."""

import json
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from artdetect import train
from artdetect.artifacts import file_names
from artdetect.core import paths
from artdetect.core.errors import ConfigError, ModelError
from artdetect.explain.model_score import ExplainedScore
from artdetect.model import feature_cache
from artdetect.model.artnet_model import assemble
from artdetect.model.detector import Detector
from artdetect.model.extractor import Extractor
from artdetect.model.feature_cache import FeatureCache
from artdetect.model.probabilities import Calibration
from artdetect.pictures import images, pixel_cache
from artdetect.train import artnet, out_of_source
from artdetect.train.artnet import FittedHead
from artdetect.train.calibration import Abstention, fit_calibration, fit_decision_rule, measures, novelty_limit
from artdetect.train.heads import Head
from artdetect.train.inputs import TrainingInputs
from tests.train.artnet_pictures import CONFIG, EXTRACTOR, Parts, table


@pytest.fixture(scope="module")
def twice(balance: Path) -> list[Path]:
    """The whole stage, run twice in one process."""
    outs = [balance / "first", balance / "second"]
    for out in outs:
        out.mkdir()
        train.run(CONFIG, balance, balance / "pictures", out, balance / "work")
    return outs


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The (picture, view) pairs that go through the backbone from now on."""
    pairs: list[tuple[str, int]] = []
    extract = feature_cache._extract

    def counting(extractor: Extractor, weights: str, view: int, pictures: Any) -> list[bytes]:
        pairs.extend((sha256, view) for sha256, _ in pictures)
        return extract(extractor, weights, view, pictures)

    monkeypatch.setattr(feature_cache, "_extract", counting)
    return pairs


def canonical(rows: pd.DataFrame) -> np.ndarray:
    return np.stack([images.load(path, EXTRACTOR.geometry) for path in rows.file])


def outputs(model: Any, pictures: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.asarray(output) for name, output in model(pictures, training=False).items()}


# --- the net ---


def random_head(*sizes: int) -> Head:
    normal = np.random.default_rng(7).standard_normal
    return Head(tuple((normal(shape, np.float32) / 3, normal(shape[1], np.float32)) for shape in pairwise(sizes)))


@pytest.mark.parametrize("hidden", [(), (9,)])
def test_the_net_gives_the_outputs_of_features_embedding_and_heads(
    hidden: tuple[int, ...], fitted: FittedHead, views: list[FeatureCache], parts: Parts
) -> None:
    if hidden:
        fitted = replace(fitted, head=random_head(12, *hidden, 2), family_head=random_head(12, *hidden, 2))
    assert fitted.family_head
    validation = parts[1]
    pictures = images.to_input(canonical(validation))
    found = outputs(assemble(EXTRACTOR, fitted, Calibration(2.0, 0.1, 0.8), 1), pictures)
    exact = fitted.embedding(np.asarray(EXTRACTOR.build()(pictures)))
    cached = fitted.embedding(views[0].read(list(validation.sha256)))
    for embedded, tolerance in ((exact, 1e-3), (cached, 0.05)):  # the cache's features are float16
        np.testing.assert_allclose(found["embedding"], embedded, atol=tolerance)
        p_ai = 0.1 + 0.7 * softmax(fitted.head(embedded) / 2, axis=1)[:, 0]
        np.testing.assert_allclose(found["probabilities"], np.stack([p_ai, 1 - p_ai], axis=1), atol=tolerance)
        np.testing.assert_allclose(found["generators"], softmax(fitted.family_head(embedded), axis=1), atol=tolerance)
        novelty = np.square(embedded).mean(axis=1) / fitted.novelty_scale
        np.testing.assert_allclose(found["novelty"][:, 0], novelty, rtol=tolerance)
    assert set(found) == {"probabilities", "generators", "embedding", "novelty"}


def test_two_views_make_left_and_right_the_same(fitted: FittedHead, parts: Parts) -> None:
    pictures = images.to_input(canonical(parts[1]))
    for average, same in ((1, False), (2, True)):
        model = assemble(EXTRACTOR, fitted, Calibration(1.0), average)
        one, other = (outputs(model, x)["embedding"] for x in (pictures, pictures[:, :, ::-1]))
        assert np.allclose(one, other, atol=1e-4) == same


@pytest.mark.slow
def test_six_views_are_the_picture_its_mirror_image_and_its_corners_also_when_loaded(
    fitted: FittedHead, parts: Parts, tmp_path: Path
) -> None:
    model = assemble(EXTRACTOR, fitted, Calibration(1.0), 6)
    Detector(model, "artnet", EXTRACTOR.geometry, {}, families=fitted.families).save(tmp_path / file_names.MODEL)
    pixels = canonical(parts[1])
    x, net = images.to_input(pixels), EXTRACTOR.build()
    corners = [x[:, row : row + 56, column : column + 56] for row in (0, 8) for column in (0, 8)]
    expected = fitted.embedding(np.mean([np.asarray(net(view)) for view in (x, x[:, :, ::-1], *corners)], axis=0))
    np.testing.assert_allclose(Detector.load(tmp_path / file_names.MODEL).scores(pixels).embedding, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("blocks", "channels"), [(("stem..block2",), 32 + 16 + 24 + 24), (("block2", "stem..block0"), 24 + 32 + 16)]
)
def test_a_range_of_blocks_is_all_from_the_first_to_the_last(blocks: tuple[str, ...], channels: int) -> None:
    assert replace(EXTRACTOR, blocks=blocks).build().output_shape == (None, 2 * channels)


@pytest.mark.parametrize(
    ("blocks", "says"),
    [(("block2..stem",), "names no block"), ((), "names no block"), (("stem..blok2",), "no block 'blok2'")],
)
def test_blocks_that_name_none_are_one_line(blocks: tuple[str, ...], says: str, parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        artnet.train(TrainingInputs(CONFIG.model_copy(update={"feature_blocks": blocks}), *parts, tmp_path))
    assert "\n" not in str(error.value)


# --- the stage ---


@pytest.mark.bits
def test_the_same_pictures_give_the_same_bytes_also_later_in_the_same_process(twice: list[Path]) -> None:
    names = {path.name for path in twice[0].iterdir()}
    graphs = {"model.onnx", "backbone.onnx", "head.onnx"}
    others = {file_names.MODEL, "metrics.json", "neighbours.npz", "precision.npz", "out_of_source.parquet"}
    assert names == graphs | others | {file_names.TRAINED_ON}
    for name in names:
        assert (twice[0] / name).read_bytes() == (twice[1] / name).read_bytes(), name


def test_the_file_holds_the_selected_and_calibrated_model(twice: list[Path], fitted: FittedHead, parts: Parts) -> None:
    detector, metrics = Detector.load(twice[0]), json.loads((twice[0] / "metrics.json").read_text())
    assert (detector.preset, detector.geometry) == ("artnet", EXTRACTOR.geometry)
    assert detector.families == ("bright", "grainy")
    assert (detector.metadata["trained_on"], detector.metadata["validated_on"]) == (96, 32)
    calibration = metrics["calibration"]
    assert (calibration["pictures"], calibration["views"]) == (96, 2)
    mapping = fit_calibration(fitted.held_out)
    for name, value in asdict(mapping).items():
        assert calibration[name] == detector.metadata[name] == pytest.approx(value, rel=1e-5)
    assert (calibration["threshold"], calibration["novelty"]) == (detector.rule.threshold, detector.rule.novelty)
    assert (calibration["unsure_from"], calibration["unsure_to"]) == detector.rule.band()
    assert not fitted.out_of_source.enough  # so the novelty limit is that of known sources
    assert detector.rule.novelty == pytest.approx(novelty_limit(fitted.validation), rel=1e-5)
    assert metrics["candidates"] == fitted.candidates
    assert metrics["head"] == "linear"
    validation = parts[1]
    scores = detector.scores(canonical(validation))
    assert ((scores.p_ai >= 0.5) == (validation.label == "AI")).mean() > 0.9
    logits = fitted.head(fitted.embedding(np.asarray(EXTRACTOR.build()(images.to_input(canonical(validation))))))
    np.testing.assert_allclose(scores.p_ai, mapping(logits @ [1, -1]), atol=1e-3)
    assert 0 < mapping.p_min <= scores.p_ai.min() < scores.p_ai.max() <= np.float32(mapping.p_max) < 1
    assert scores.generators is not None
    ai = (validation.label == "AI").to_numpy()
    named = np.array(detector.families)[scores.generators.argmax(axis=1)]
    assert (named == validation.generator)[ai].mean() > 0.9


def test_the_metrics_hold_what_is_known_of_the_sources_it_learnt_from_and_of_others(
    twice: list[Path], fitted: FittedHead, parts: Parts
) -> None:
    detector, metrics = Detector.load(twice[0]), json.loads((twice[0] / "metrics.json").read_text())
    mapping = fit_calibration(fitted.held_out)
    assert metrics["in_source"] == measures(fitted.validation, mapping, detector.rule)
    assert metrics["in_source"]["pictures"] == 32
    assert metrics["out_of_source"] == out_of_source.summary(fitted.out_of_source)
    assert metrics["out_of_source"]["pictures"] == 96
    assert metrics["out_of_source"]["sources"] == {"AI": 2, "human": 7}
    stored = pd.read_parquet(twice[0] / "out_of_source.parquet")
    assert set(stored.sha256) == set(parts[0].sha256)
    pd.testing.assert_frame_equal(stored, fitted.out_of_source.table, check_dtype=False)


def test_a_model_that_knows_too_few_sources_gets_the_stricter_rule(twice: list[Path], fitted: FittedHead) -> None:
    """Of AI art there are just two."""
    detector = Detector.load(twice[0])
    assert detector.metadata["enough_sources"] is False
    mapping = fit_calibration(fitted.held_out)
    rules = [
        fit_decision_rule(fitted.held_out, mapping, 0.5, Abstention(min_accuracy=accuracy), 64)
        for accuracy in (0.95, 0.975)
    ]
    assert detector.rule == replace(rules[1], novelty=novelty_limit(fitted.validation))
    assert detector.rule.min_side == 32


def test_the_neighbours_are_the_embeddings_of_the_training_pictures(twice: list[Path], parts: Parts) -> None:
    with np.load(twice[0] / "neighbours.npz") as neighbours:
        assert [name.decode() for name in neighbours["sha256"]] == list(parts[0].sha256)
        assert neighbours["embedding"].dtype == np.float16
        found = Detector.load(twice[0]).scores(canonical(parts[0]))
        np.testing.assert_allclose(neighbours["embedding"], found.embedding, atol=0.05)


def test_black_white_and_noise_have_finite_scores_and_slopes(twice: list[Path]) -> None:
    detector = Detector.load(twice[0])
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    pixels = np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise])
    scores = detector.scores(pixels)
    for part in (scores.p_ai, scores.novelty, scores.generators, scores.embedding):
        assert part is not None
        assert np.isfinite(part).all()
    gradients = ExplainedScore(detector.classifier, "logit_margin", 3).gradients(
        images.to_input(pixels), np.zeros(3, int)
    )
    assert np.isfinite(gradients).all()
    assert np.abs(gradients).max(axis=(1, 2, 3)).min() > 0


def test_flipped_bits_in_the_caches_give_the_same_model(
    twice: list[Path], balance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One flipped bit of a feature gave another model under the same key, and nobody was told."""
    for module in (feature_cache, pixel_cache):
        monkeypatch.setattr(module, "CHUNK", 16)  # so that the flipped bits are not in the last chunk
    records = [*(paths.cache() / "features").rglob("features.f16"), *(paths.cache() / "pixels").rglob("pixels.u8")]
    assert len(records) >= 3
    for file in records:
        data = bytearray(file.read_bytes())
        for position in (0, len(data) // 2, len(data) - 1):
            data[position] ^= 0x40
        file.write_bytes(data)
    train.run(CONFIG, balance, balance / "pictures", tmp_path, balance / "work")
    for file in twice[0].iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


def test_more_pictures_cost_only_their_own_features(
    twice: list[Path], parts: Parts, root: Path, tmp_path: Path, computed: list[tuple[str, int]]
) -> None:
    progress: list[tuple[int, int, str]] = []
    more = table(root / "pictures", {"human": 2, "bright": 1}, 200, "train")
    grown = pd.concat([parts[0], more], ignore_index=True)
    result = artnet.train(TrainingInputs(CONFIG, grown, parts[1], tmp_path, progress=lambda *row: progress.append(row)))
    assert sorted(computed) == sorted((sha256, view) for sha256 in more.sha256 for view in (0, 1))
    computed.clear()
    moved = table(root / "pictures", {"human": 1}, 300, "validation")
    artnet.train(TrainingInputs(CONFIG, parts[0], pd.concat([parts[1], moved], ignore_index=True), tmp_path))
    assert computed == [(moved.sha256[0], 0)]  # validation pictures are judged in their clean view alone
    assert (3, 3, "features") in progress
    assert (3, 3, "features of degraded view 1 of 1") in progress
    assert (result.held_out.logits.shape, result.validation.logits.shape) == ((2, 99), (1, 32))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"backbone": "MobileNetV2", "weights": "absent.h5"}, ModelError, r"absent\.h5: no such weights file"),
        ({"weights": "absent.weights.h5"}, ConfigError, "comes with its ImageNet weights"),
        ({"backbone": "mobilenetv"}, ConfigError, "Did you mean .*MobileNetV2"),
    ],
)
def test_a_backbone_that_is_not_available_is_one_line(
    change: dict[str, Any], error: type[Exception], says: str, balance: Path, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update=change)
    assert config.key_parts()["weights"] == config.weights
    with pytest.raises(error, match=says) as raised:
        train.run(config, balance, balance / "pictures", tmp_path, tmp_path)
    assert "\n" not in str(raised.value)


def test_without_families_the_model_names_no_generator(fitted: FittedHead) -> None:
    model = assemble(EXTRACTOR, replace(fitted, families=(), family_head=None), Calibration(1.0), 1)
    assert set(model.output) == {"probabilities", "embedding", "novelty"}
