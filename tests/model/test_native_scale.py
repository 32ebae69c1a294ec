"""Models that judge native crops: training, evaluation, predict and serve use the same features of the same crops."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artdetect import balance, evaluate, index
from artdetect.artifacts import file_names, store
from artdetect.core import digests
from artdetect.core.errors import DataError, ModelError
from artdetect.evaluate.config import EvaluateConfig
from artdetect.index import scan
from artdetect.model import cached_scores, predict
from artdetect.model.card import read_card
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import Detector
from artdetect.model.extractor import Extractor
from artdetect.model.feature_cache import FeatureCache, NativeScaleCache, clean_view
from artdetect.model.frozen_backbone import with_crops
from artdetect.pictures import corruptions, picture_views
from artdetect.pictures.array_cache import PictureRef
from artdetect.pictures.corruptions import CLEAN
from artdetect.pictures.images import Geometry
from artdetect.pictures.picture_views import PictureViews
from artdetect.pictures.pixel_cache import PixelCache
from tests.model.test_cached_scores import detector as small_detector
from tests.model.test_detector import net_with_all_outputs
from tests.tiny_dataset import data_set, no_groups, write

pytestmark = pytest.mark.bits

SIZES = ((16, 16), (23, 40), (24, 24), (60, 30), (100, 90))  # the last three are large for a square of 16
LARGE = [False, False, True, True, True]


def noise(seed: int, size: tuple[int, int]) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


@pytest.fixture
def items(roots: Path) -> list[PictureRef]:
    files = [write(roots / "in" / f"{number}.png", noise(number, size)) for number, size in enumerate(SIZES)]
    return [(digests.file_digest(file), file) for file in files]


@pytest.fixture
def detector() -> Detector:
    """A detector with random weights that judges two crops beside the whole."""
    return replace(small_detector(1), native_crops=2)


def views_of(detector: Detector, items: list[PictureRef]) -> list[PictureViews]:
    return [picture_views.load(path, detector.geometry, detector.native_crops) for _, path in items]


# --- scores ---


def test_a_large_picture_is_judged_by_the_mean_of_whole_and_crops_and_others_as_without(
    detector: Detector, items: list[PictureRef]
) -> None:
    views = views_of(detector, items)
    features = detector.features(np.stack([one.whole for one in views])).astype(np.float64)
    for row in np.flatnonzero(LARGE):
        features[row] = (features[row] + detector.features(views[row].crops).astype(np.float64).mean(axis=0)) / 2
    expected = detector.scores_from_features(features.astype(np.float32)).p_ai
    scores = detector.scores_of(views).p_ai
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    without = replace(detector, native_crops=0).scores_of(views).p_ai
    assert (scores == without).tolist() == [not large for large in LARGE]
    assert [detector.scores_of([one]).p_ai[0] for one in views] == scores.tolist()  # alone as among others
    assert detector.scores_with_evidence(views)[0].p_ai.tolist() == scores.tolist()


def test_features_are_averaged_alike_for_one_picture_and_for_many() -> None:
    whole, crops = (np.random.default_rng(8).normal(size=shape).astype(np.float32) for shape in ((50, 9), (50, 8, 9)))
    found = with_crops(whole, crops)
    np.testing.assert_array_equal(found, [with_crops(*pair) for pair in zip(whole, crops, strict=True)])
    np.testing.assert_allclose(found, whole / 2 + crops.mean(axis=1) / 2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("condition", [CLEAN, "JPEG 30", "noise 0.1"])
def test_cached_scores_are_those_of_the_pictures_with_their_crops(
    detector: Detector, items: list[PictureRef], condition: str
) -> None:
    """First computed, then read. A condition changes whole and crops alike."""
    pixels, crops = PixelCache(detector.geometry), cached_scores.crop_cache(detector)
    assert crops
    pixels.ensure(items)
    sha256s = [sha256 for sha256, _ in items]
    changed = [
        replace(
            one,
            whole=corruptions.corrupt(one.whole, sha256, condition),
            crops=np.array([corruptions.corrupt(crop, sha256, condition) for crop in one.crops], np.uint8),
        )
        for sha256, one in zip(sha256s, views_of(detector, items), strict=True)
    ]
    with pytest.raises(DataError, match="not in the side cache"):
        cached_scores.scores(detector, pixels, sha256s, condition)
    crops.ensure(items)
    for given in (crops, None):
        scores = cached_scores.scores(detector, pixels, sha256s, condition, crops=given)
        np.testing.assert_array_equal(scores.p_ai, detector.scores_of(changed).p_ai)


def test_the_training_view_averages_the_features_of_large_pictures_alone(items: list[PictureRef]) -> None:
    extractor = Extractor("efficientnet-lite0", ("block0",), Geometry(32, "crop"))
    large = [sha256 for sha256, path in items if min(Image.open(path).size) >= 48]
    sha256s = [sha256 for sha256, _ in items]
    whole, view = FeatureCache(extractor, 0), clean_view(extractor, 3)
    assert isinstance(view, NativeScaleCache)
    whole.ensure(items)
    view.ensure(items)
    before = whole.read(sha256s)
    expected = np.array([sha256 in large for sha256 in sha256s])
    np.testing.assert_array_equal(view.crops.large(sha256s), expected)
    assert expected.sum() == 1
    features = view.crops.read(large)
    assert features.shape == (1, 3, before.shape[1])
    assert len(np.unique(features, axis=1)[0]) == 3  # of three different crops
    after = view.read(sha256s)
    np.testing.assert_array_equal(after[~expected], before[~expected])
    np.testing.assert_allclose(after[expected], (before[expected] + features.mean(axis=1)) / 2, rtol=1e-6)
    crops = picture_views.load(items[-1][1], extractor.geometry, 3).crops
    direct = extractor.build()(crops.astype(np.float32) / 255).numpy()
    np.testing.assert_allclose(features[0], direct, rtol=2e-3, atol=1e-3)  # stored as float16
    assert type(clean_view(extractor, 0)) is FeatureCache


# --- predict and evaluate ---


@pytest.fixture
def model(roots: Path) -> Path:
    """A model file: it judges two crops, and has novelty, embedding and generators."""
    rule = DecisionRule(0.5, 0.45, 0.55, 0.5, min_side=24, min_contrast=2.0)
    families = ("a", "b", "c")
    Detector(net_with_all_outputs("frozen"), "artnet", Geometry(32, "crop"), {}, rule, families, native_crops=2).save(
        roots / file_names.MODEL
    )
    return roots


def test_the_number_of_crops_is_part_of_the_model_file(model: Path, tmp_path: Path) -> None:
    assert read_card(model / file_names.MODEL)["native_crops"] == Detector.load(model).native_crops == 2
    old = replace(Detector.load(model), native_crops=0)
    old.save(file := tmp_path / "old.keras")
    rewrite_card(file, lambda card: card.pop("native_crops"))  # as written before there were crops
    assert Detector.load(file).native_crops == 0
    rewrite_card(file, lambda card: card.update(native_crops=9))
    with pytest.raises(ModelError, match="not a model file of artdetect"):
        read_card(file)


def test_a_card_with_crops_needs_a_net_with_a_frozen_part(tmp_path: Path) -> None:
    whole = replace(small_detector(1, frozen=False), native_crops=2)
    whole.save(file := tmp_path / "whole.keras")
    with pytest.raises(ModelError, match="has native_crops = 2, but its net has no frozen part"):
        Detector.load(file)


def rewrite_card(file: Path, change) -> None:
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    card = json.loads(members["artdetect.json"])
    change(card)
    members["artdetect.json"] = json.dumps(card).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_predict_and_evaluate_agree_bit_for_bit_on_pictures_of_every_size(model: Path, roots: Path) -> None:
    pictures = data_set(roots / "data" / "raw" / "art", train=6, test=6)
    for number, file in enumerate(sorted((pictures / "test").rglob("*.jpg"))):
        side = (16, 24, 47, 48, 100, 300)[number % 6]
        rng = np.random.default_rng(number)
        content = rng.integers(0, 256, (side, side + number, 3), np.uint8) if number % 5 else np.full((99, 99, 3), 7)
        Image.fromarray(content.astype(np.uint8)).save(file, quality=90)
    with store.build("index", "k1", {}) as out:
        index.run(index.IndexConfig(), scan.scan(pictures), out)
    with store.build("balance", "k1", {}) as out:
        no_groups(roots)
        balance.run(balance.BalanceConfig(), store.place("index", "k1"), roots, out)
    (out := roots / "evaluated").mkdir()
    config = EvaluateConfig(bootstrap_resamples=100, robustness_pictures=4)
    evaluate.run(config, store.place("index", "k1"), roots, store.place("balance", "k1"), model, pictures, out)
    table = pd.read_parquet(out / "predictions.parquet")
    rows = list(predict.predict(Detector.load(model), [pictures / path for path in table.path]))
    assert len(rows) > 15
    for column in ("p_ai", "novelty", "verdict", "reason", "native_crops"):
        assert [getattr(row, column) for row in rows] == table[column].tolist(), column
    assert set(table.native_crops) == {0, 2}
    assert {"too small", "flat", "unlike the training art"} <= set(table.reason)
    conditions = pd.read_parquet(out / "robustness.parquet")
    png = conditions[conditions.condition == "PNG"].merge(table, on="sha256")
    assert (png.p_ai_x == png.p_ai_y).all()  # lossless: crops count there, too
    assert len(png)
