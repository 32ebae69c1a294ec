"""Scores of test pictures: cached features must change nothing but the time that scoring takes."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artdetect.core import digests, paths
from artdetect.model import cached_scores
from artdetect.model.detector import Detector
from artdetect.model.frozen_backbone import LAYER
from artdetect.pictures import corruptions
from artdetect.pictures.array_cache import PictureRef
from artdetect.pictures.corruptions import CLEAN, GRID
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache

pytestmark = pytest.mark.bits

SIDE = 16
GEOMETRY = Geometry(SIDE, "squash")


@cache
def detector(head: int, backbone: int = 0, frozen: bool = True) -> Detector:
    """A detector with random weights by two seeds. For reading only."""
    import keras

    keras.utils.set_random_seed(backbone)
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(picture)
    x = keras.layers.GlobalAveragePooling2D(name=LAYER if frozen else "features")(x)
    keras.utils.set_random_seed(head)
    x = keras.layers.Dense(2, "softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=5), name="head")(x)
    return Detector(keras.Model(picture, x, name="net"), "artnet", GEOMETRY, {})


@pytest.fixture
def items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[PictureRef]:
    """Twelve noisy pictures with cached pixels, in a cache of their own."""
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path / "data"))
    rng, pictures = np.random.default_rng(5), []
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(path := tmp_path / f"{number}.png")
        pictures.append((digests.file_digest(path), path))
    PixelCache(GEOMETRY).ensure(pictures)
    return pictures


def cached_files() -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in (paths.cache() / "frozen_features").rglob("*") if file.is_file()}


@pytest.mark.parametrize("condition", [CLEAN, *GRID])
def test_scores_are_those_of_the_pictures_under_the_condition(items: list[PictureRef], condition: str) -> None:
    """First computed, then read. A model without a frozen part caches nothing."""
    sha256s = [sha256 for sha256, _ in items]
    cache = PixelCache(GEOMETRY)
    pictures = cache.read(cache.rows(sha256s))
    corrupted = np.stack([corruptions.corrupt(*pair, condition) for pair in zip(pictures, sha256s, strict=True)])
    for frozen in (False, True):
        model = detector(1, frozen=frozen)
        for _ in range(2):
            scores = cached_scores.scores(model, cache, sha256s, condition)
            np.testing.assert_array_equal(scores.p_ai, model.scores(corrupted).p_ai)
            assert bool(cached_files()) == frozen


def test_another_head_on_the_same_backbone_computes_only_what_is_new(items: list[PictureRef]) -> None:
    sha256s = [sha256 for sha256, _ in items]
    cache = PixelCache(GEOMETRY)
    progress: list[tuple[int, int]] = []
    first = cached_scores.scores(detector(1), cache, sha256s[:8], "noise 0.1", lambda *count: progress.append(count))
    before = cached_files()
    assert progress == [(8, 8)]
    other = cached_scores.scores(detector(2), cache, sha256s[:8], "noise 0.1", lambda *count: progress.append(count))
    assert (progress, cached_files()) == ([(8, 8)], before)
    assert (other.p_ai != first.p_ai).all()
    cached_scores.scores(detector(2), cache, sha256s, "noise 0.1", lambda *count: progress.append(count))
    assert progress == [(8, 8), (4, 4)]
    assert {*cached_files()} == {*before}  # the same files, which have grown


@pytest.mark.parametrize("condition", [CLEAN, "noise 0.1"])
def test_a_damaged_feature_or_pixel_changes_no_score(
    items: list[PictureRef], condition: str, caplog: pytest.LogCaptureFixture
) -> None:
    sha256s = [sha256 for sha256, _ in items]

    def scores() -> np.ndarray:
        cache = PixelCache(GEOMETRY)
        cache.ensure(items)
        return cached_scores.scores(detector(1), cache, sha256s, condition).p_ai

    good = scores()
    (features,) = (paths.cache() / "frozen_features").rglob("features.f32")
    for file in (features, PixelCache(GEOMETRY).folder / "pixels.u8"):
        data = bytearray(file.read_bytes())
        data[3] ^= 64
        file.write_bytes(data)
    np.testing.assert_array_equal(scores(), good)
    assert caplog.text.count("1 of 12 records are damaged and are made again") == 2


def test_another_backbone_or_condition_has_its_own_cache(items: list[PictureRef]) -> None:
    sha256s, cache = [sha256 for sha256, _ in items], PixelCache(GEOMETRY)
    for model, condition in ((detector(1), "blur 1"), (detector(1), "blur 2"), (detector(1, backbone=9), "blur 1")):
        before = cached_files()
        np.testing.assert_array_equal(
            cached_scores.scores(model, cache, sha256s, condition).p_ai,
            cached_scores.scores(model, cache, sha256s, condition).p_ai,
        )
        assert before.items() < cached_files().items()
