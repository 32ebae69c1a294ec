"""`artnet` from pictures to a model file: the assembled net gives the same outputs as its parts."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import softmax

from artdetect import train
from artdetect.core import paths
from artdetect.core.errors import ConfigError, ModelError
from artdetect.explain.model_score import ExplainedScore
from artdetect.model import feature_cache
from artdetect.model.artnet_model import assemble
from artdetect.model.detector import MODEL_FILE, Detector
from artdetect.model.feature_cache import Extractor, FeatureCache
from artdetect.pictures import images
from artdetect.pictures.images import Geometry
from artdetect.pictures.labels import CLASSES
from artdetect.train import artnet, heads
from artdetect.train.artnet import FittedHead
from artdetect.train.config import TrainConfig
from artdetect.train.heads import Head
from artdetect.train.inputs import TrainingInputs

Parts = tuple[pd.DataFrame, pd.DataFrame]
CONFIG = TrainConfig(size=64, feature_blocks=("block0", "block2"), degraded_views=1, pca_components=12)
EXTRACTOR = Extractor("efficientnet-lite0", ("block0", "block2"), Geometry(64, "crop"))
MAKERS = {"human": 48, "bright": 24, "grainy": 24}  # training pictures; a third as many for validation


def draw(maker: str, seed: int) -> Image.Image:
    """Blocks of colour. One generator's are brighter, the other's are grainy."""
    rng = np.random.default_rng([*maker.encode(), seed])
    blocks = rng.integers(40, 160, (6, 6, 3)) + 80 * (maker == "bright")
    picture = np.asarray(Image.fromarray(blocks.astype(np.uint8)).resize((72, 64), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 27 if maker == "grainy" else 2, picture.shape)
    return Image.fromarray((picture + grain).clip(0, 255).astype(np.uint8))


def table(folder: Path, counts: dict[str, int], first: int, split: str) -> pd.DataFrame:
    """Draw pictures of each maker, numbered from `first`, and return their rows of the balanced table."""
    rows = []
    for maker, count in counts.items():
        for number in range(first, first + count):
            path = folder / f"{maker}-{number}.png"
            draw(maker, number).save(path)
            label = "human" if maker == "human" else "AI"
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append((path.name, sha256, label, f"style{number % 7}", maker, split, 1.0))
    balance = pd.DataFrame(rows, columns=["path", "sha256", "label", "style", "generator", "split", "weight"])
    return balance.assign(file=[folder / name for name in balance.path])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with pictures, and with one pixel and feature cache for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str((root := tmp_path_factory.mktemp("artnet")) / "data"))
        (root / "pictures").mkdir()
        yield root


@pytest.fixture(scope="module")
def parts(root: Path) -> Parts:
    """Training and validation."""
    third = {maker: count // 3 for maker, count in MAKERS.items()}
    return table(root / "pictures", MAKERS, 0, "train"), table(root / "pictures", third, 100, "validation")


@pytest.fixture(scope="module")
def balance(root: Path, parts: Parts) -> Path:
    pd.concat(parts).drop(columns="file").to_parquet(root / "balance.parquet", index=False)
    return root


@pytest.fixture(scope="module")
def views(parts: Parts) -> list[FeatureCache]:
    both = pd.concat(parts)
    found = [FeatureCache(EXTRACTOR, number) for number in range(CONFIG.degraded_views + 1)]
    for view in found:
        view.ensure(list(zip(both.sha256, both.file, strict=True)))
    return found


@pytest.fixture(scope="module")
def fitted(views: list[FeatureCache], parts: Parts) -> FittedHead:
    return artnet.fit(CONFIG, views, *parts)


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
    found = outputs(assemble(EXTRACTOR, fitted, 2.0, 1), pictures)
    exact = fitted.embedding(np.asarray(EXTRACTOR.build()(pictures)))
    cached = fitted.embedding(views[0].read(list(validation.sha256)))
    for embedded, tolerance in ((exact, 1e-3), (cached, 0.05)):  # the cache's features are float16
        np.testing.assert_allclose(found["embedding"], embedded, atol=tolerance)
        np.testing.assert_allclose(found["probabilities"], softmax(fitted.head(embedded) / 2, axis=1), atol=tolerance)
        np.testing.assert_allclose(found["generators"], softmax(fitted.family_head(embedded), axis=1), atol=tolerance)
        novelty = np.square(embedded).mean(axis=1) / fitted.novelty_scale
        np.testing.assert_allclose(found["novelty"][:, 0], novelty, rtol=tolerance)
    assert set(found) == {"probabilities", "generators", "embedding", "novelty"}


def test_two_views_make_left_and_right_the_same(fitted: FittedHead, parts: Parts) -> None:
    pictures = images.to_input(canonical(parts[1]))
    for average, same in ((1, False), (2, True)):
        model = assemble(EXTRACTOR, fitted, 1.0, average)
        one, other = (outputs(model, x)["embedding"] for x in (pictures, pictures[:, :, ::-1]))
        assert np.allclose(one, other, atol=1e-4) == same


@pytest.mark.slow
def test_six_views_are_the_picture_its_mirror_image_and_its_corners_also_when_loaded(
    fitted: FittedHead, parts: Parts, tmp_path: Path
) -> None:
    model = assemble(EXTRACTOR, fitted, 1.0, 6)
    Detector(model, "artnet", EXTRACTOR.geometry, {}, families=fitted.families).save(tmp_path / MODEL_FILE)
    pixels = canonical(parts[1])
    x, net = images.to_input(pixels), EXTRACTOR.build()
    corners = [x[:, row : row + 56, column : column + 56] for row in (0, 8) for column in (0, 8)]
    expected = fitted.embedding(np.mean([np.asarray(net(view)) for view in (x, x[:, :, ::-1], *corners)], axis=0))
    np.testing.assert_allclose(Detector.load(tmp_path / MODEL_FILE).scores(pixels).embedding, expected, atol=1e-3)


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
    assert names == {MODEL_FILE, "metrics.json", "neighbours.npz"}
    for name in names:
        assert (twice[0] / name).read_bytes() == (twice[1] / name).read_bytes(), name


def test_the_file_holds_the_selected_and_calibrated_model(twice: list[Path], fitted: FittedHead, parts: Parts) -> None:
    detector, metrics = Detector.load(twice[0]), json.loads((twice[0] / "metrics.json").read_text())
    assert (detector.preset, detector.geometry) == ("artnet", EXTRACTOR.geometry)
    assert detector.families == ("bright", "grainy")
    assert (detector.metadata["trained_on"], detector.metadata["validated_on"]) == (96, 32)
    calibration = metrics["calibration"]
    assert (calibration["pictures"], calibration["views"]) == (32 + 96, 2)
    assert calibration["temperature"] == detector.metadata["temperature"]
    assert (calibration["threshold"], calibration["novelty"]) == (detector.rule.threshold, detector.rule.novelty)
    assert metrics["candidates"] == fitted.candidates
    assert (metrics["head"], metrics["val_loss"]) == ("linear", fitted.candidates[0]["val_loss"])
    validation = parts[1]
    scores = detector.scores(canonical(validation))
    assert ((scores.p_ai >= 0.5) == (validation.label == "AI")).mean() > 0.9
    logits = fitted.head(fitted.embedding(np.asarray(EXTRACTOR.build()(images.to_input(canonical(validation))))))
    np.testing.assert_allclose(scores.p_ai, softmax(logits / calibration["temperature"], axis=1)[:, 0], atol=1e-3)
    assert scores.generators is not None
    ai = (validation.label == "AI").to_numpy()
    named = np.array(detector.families)[scores.generators.argmax(axis=1)]
    assert (named == validation.generator)[ai].mean() > 0.9


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


def test_flipped_bits_in_the_caches_give_the_same_model(twice: list[Path], balance: Path, tmp_path: Path) -> None:
    """One flipped bit of a feature gave another model under the same key, and nobody was told."""
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
    assert (3, 3, "features") in progress
    assert (3, 3, "features of degraded view 1 of 1") in progress
    assert result.validation.logits.shape == (2, 32 + 99)


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


# --- the choice ---


def embedded(views: list[FeatureCache], rows: pd.DataFrame, fitted: FittedHead) -> list[np.ndarray]:
    return [fitted.embedding(view.read(list(rows.sha256))) for view in views]


def test_the_head_with_the_least_validation_loss_over_all_views_is_selected(
    fitted: FittedHead, views: list[FeatureCache], parts: Parts
) -> None:
    assert sorted(row["penalty"] for row in fitted.candidates) == list(artnet.PENALTIES["linear"])
    assert [row["val_loss"] for row in fitted.candidates] == sorted(row["val_loss"] for row in fitted.candidates)
    validation = parts[1]
    classes = validation.label.map(CLASSES.index).to_numpy()
    logits = np.stack([fitted.head(x) for x in embedded(views, validation, fitted)])
    losses = [heads.log_loss(view, classes, np.ones(len(classes))) for view in logits]
    assert fitted.candidates[0]["val_loss"] == pytest.approx(np.mean(losses), abs=1e-6)
    np.testing.assert_allclose(fitted.validation.logits[:, :32], logits[..., 0] - logits[..., 1], atol=1e-5)
    np.testing.assert_array_equal(fitted.validation.classes[:32], classes)


def test_training_pictures_calibrate_too_predicted_by_heads_that_were_not_trained_on_their_styles(
    fitted: FittedHead, views: list[FeatureCache], parts: Parts
) -> None:
    rows = parts[0]
    labels = rows.label.map(CLASSES.index).to_numpy()
    x, validation = np.stack(embedded(views, rows, fitted)), fitted.validation
    assert validation.novelty is not None
    assert (validation.logits.shape, validation.novelty.shape, validation.weights.shape) == ((2, 128), (2, 128), (128,))
    np.testing.assert_array_equal(validation.classes[32:], labels)
    np.testing.assert_allclose(validation.novelty[:, 32:], np.square(x).mean(axis=-1) / fitted.novelty_scale, rtol=1e-4)
    assert validation.novelty[:, 32:].mean() == pytest.approx(1)
    folds = artnet._folds(rows)
    for fold in range(artnet.FOLDS):
        rest, held_out = folds != fold, np.flatnonzero(folds == fold)
        weights = heads.balanced_weights(np.tile(labels[rest], 2), np.ones(2 * rest.sum(), np.float32))
        all_views = np.concatenate([view[rest] for view in x])
        head = heads.fit(all_views, np.tile(labels[rest], 2), weights, "linear", fitted.candidates[0]["penalty"], 0)
        np.testing.assert_allclose(validation.logits[:, 32 + held_out], head(x[:, held_out]) @ [1, -1], atol=0.05)


def test_a_fold_is_whole_styles_of_a_class_where_there_are_enough_and_whatever_the_order_of_the_rows(
    parts: Parts,
) -> None:
    rows = parts[0].assign(fold=artnet._folds(parts[0]))
    assert rows.groupby(["label", "style"]).fold.nunique().eq(1).all()
    assert rows.groupby("label").fold.nunique().eq(artnet.FOLDS).all()
    few = rows.assign(style=rows["style"].where(rows.label == "AI", "baroque"))
    by_content = artnet._folds(few)
    assert len(set(by_content[few.label == "human"])) == artnet.FOLDS
    for table in (rows, few):
        shuffled = table.sample(frac=1, random_state=3)
        np.testing.assert_array_equal(artnet._folds(shuffled), pd.Series(artnet._folds(table))[shuffled.index])


def test_a_class_that_is_too_small_for_held_out_folds_is_left_out_and_nothing_is_nan(
    views: list[FeatureCache], parts: Parts
) -> None:
    rows = parts[0]
    one = rows[(rows.label == "human") | (rows.path == "bright-3.png")].reset_index(drop=True)
    validation = artnet.fit(CONFIG, views, one, parts[1]).validation
    same_fold = artnet._folds(one) == artnet._folds(one)[one.label == "AI"]
    assert len(validation.classes) == 32 + 49 - same_fold.sum()
    assert (validation.classes[32:] == 1).all()
    assert np.isfinite(validation.logits).all()


def test_pictures_that_all_look_the_same_to_the_backbone_are_no_crash(
    views: list[FeatureCache], parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FeatureCache, "read", lambda self, sha256s: np.full((len(sha256s), 80), 0.3, np.float32))
    validation = artnet.fit(CONFIG, views, *parts).validation
    assert not np.isnan(validation.logits).any()
    assert not np.any(validation.novelty)


@pytest.mark.slow
def test_best_tries_both_kinds_and_takes_the_better(
    views: list[FeatureCache], parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artnet, "PENALTIES", {"linear": (1e-2,), "mlp": (1e-2,)})
    monkeypatch.setattr(artnet, "MIN_PER_GENERATOR", 1000)
    found = artnet.fit(CONFIG.model_copy(update={"head": "best"}), views, *parts)
    assert {row["head"] for row in found.candidates} == {"linear", "mlp"}
    assert len(found.head.layers) == (1 if found.candidates[0]["head"] == "linear" else 2)


def test_weights_of_pictures_count(fitted: FittedHead, views: list[FeatureCache], parts: Parts) -> None:
    heavy = [rows.assign(weight=np.where(rows.label == "AI", 30.0, 1.0)) for rows in parts]
    logits = artnet.fit(CONFIG, views, *heavy).validation.logits[:, :32]
    assert logits.mean() > fitted.validation.logits[:, :32].mean() + 0.1


@pytest.mark.parametrize(
    ("fewest", "families", "left_out"),
    [(24, ["bright", "grainy"], ["bright", "grainy"]), (25, [], []), (10, [], ["bright"])],
)
def test_generators_with_too_few_pictures_are_no_family_and_not_left_out(
    fewest: int, families: list[str], left_out: list[str], views: list[FeatureCache], parts: Parts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A single family counts as none."""
    monkeypatch.setattr(artnet, "MIN_PER_GENERATOR", fewest)
    rows = parts[0]
    if fewest == 10:
        rows = rows[(rows.generator != "grainy") | (rows.path < "grainy-16")].reset_index(drop=True)
        assert (rows.generator == "grainy").sum() == 8
    found = artnet.fit(CONFIG, views, rows, parts[1])
    assert (list(found.families), found.family_head is not None) == (families, bool(families))
    assert [row["generator"] for row in found.left_out] == left_out


def test_without_families_the_model_names_no_generator(fitted: FittedHead) -> None:
    model = assemble(EXTRACTOR, replace(fitted, families=(), family_head=None), 1.0, 1)
    assert set(model.output) == {"probabilities", "embedding", "novelty"}


def test_a_generator_that_was_left_out_is_predicted_by_a_head_that_was_not_trained_on_it(
    fitted: FittedHead, views: list[FeatureCache], parts: Parts
) -> None:
    from sklearn.metrics import roc_auc_score

    rows, validation = parts
    labels = rows.label.map(CLASSES.index).to_numpy()
    x, val_x = embedded(views, rows, fitted), embedded(views, validation, fitted)
    penalty = fitted.candidates[0]["penalty"]
    assert [row["generator"] for row in fitted.left_out] == ["bright", "grainy"]
    for row in fitted.left_out:
        trained_on = (rows.generator != row["generator"]).to_numpy()
        weights = np.where(labels[trained_on] == 0, 48 / 24, 1).astype(np.float32)  # both classes count the same
        both_views = np.concatenate([view[trained_on] for view in x])
        head = heads.fit(both_views, np.tile(labels[trained_on], 2), np.tile(weights, 2), "linear", penalty, 0)
        ai, human = (
            head(part) @ [1, -1] for part in (x[0][~trained_on], val_x[0][(validation.label == "human").to_numpy()])
        )
        auc = roc_auc_score([1] * 24 + [0] * 16, [*ai, *human])
        assert (row["pictures"], row["human"]) == (24, 16)
        assert row["roc_auc"]["value"] == pytest.approx(auc)
        assert row["recall"]["value"] == pytest.approx((ai > 0).mean())
        assert row["roc_auc"]["low"] < row["roc_auc"]["value"] <= row["roc_auc"]["high"]
    assert (
        min(row["recall"]["value"] for row in fitted.left_out) < 0.7
    )  # a head knows little about a generator it was not trained on
