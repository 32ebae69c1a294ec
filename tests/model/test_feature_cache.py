"""The feature cache holds each picture's features, whoever computed them, in whatever batches, and after any
interruptions.
"""

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from artdetect import compute
from artdetect.compute import ComputeConfig
from artdetect.core import digests
from artdetect.core.errors import ConfigError, DataError, ModelError
from artdetect.model import backbones, converted_backbone, feature_cache
from artdetect.model.extractor import Extractor
from artdetect.model.feature_cache import FeatureCache, default_folder
from artdetect.pictures import degraded_views, images, pixel_cache
from artdetect.pictures.array_cache import PictureRef
from artdetect.pictures.images import Geometry

pytestmark = pytest.mark.bits

GEOMETRY = Geometry(64, "crop")
EXTRACTOR = Extractor("efficientnet-lite0", ("block0", "block2"), GEOMETRY)
WIDTH = 2 * (16 + 24)


@pytest.fixture(scope="module", autouse=True)
def _root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One pixel cache for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[PictureRef]:
    """110 pictures, from smooth to noisy; the first is black."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    pictures = []
    for number in range(110):
        colours = random.integers(0, 255, (2 + number % 70, 3 + number % 50, 3)) * (number > 0)
        path = folder / f"{number}.png"
        Image.fromarray(colours.astype(np.uint8)).resize((80, 70)).save(path, compress_level=0)
        pictures.append((hashlib.sha256(path.read_bytes()).hexdigest(), path))
    return pictures


@pytest.fixture(scope="module")
def unbroken(items: list[PictureRef], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cache filled in one go."""
    folder = tmp_path_factory.mktemp("unbroken") / "cache"
    FeatureCache(EXTRACTOR, 0, folder).ensure(items)
    return folder


@pytest.fixture
def filled(unbroken: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be damaged."""
    return Path(shutil.copytree(unbroken, tmp_path / "cache"))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pictures that go through the net from now on, in any order."""
    pictures: list[str] = []
    extract = feature_cache._extract

    def counting(*settings: Any) -> list[bytes]:
        records = extract(*settings)
        assert len(records) == len(settings[-1])
        pictures.extend(sha256 for sha256, _ in settings[-1])
        return records

    monkeypatch.setattr(feature_cache, "_extract", counting)
    return pictures


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("features.f16", "index.bin")}


def keys(items: list[PictureRef]) -> list[str]:
    return [sha256 for sha256, _ in items]


def canonical(items: list[PictureRef]) -> np.ndarray:
    return np.stack([images.load(path, GEOMETRY) for _, path in items])


def test_features_are_the_means_and_deviations_of_the_activations(items: list[PictureRef], unbroken: Path) -> None:
    import keras

    net = backbones.load("efficientnet-lite0")
    activations = keras.Model(net.input, [backbones.block_outputs(net)[name] for name in EXTRACTOR.blocks])
    expected = []
    for x in activations(images.to_input(canonical(items[:20]))):
        x = x.numpy().astype(np.float64)
        expected += [x.mean((1, 2)), np.sqrt(x.var((1, 2)) + 1e-6)]
    features = FeatureCache(EXTRACTOR, 0, unbroken).read(keys(items[:20]))
    assert (features.dtype, features.shape) == (np.float32, (20, WIDTH))
    np.testing.assert_allclose(features, np.concatenate(expected, 1), rtol=2**-11, atol=1e-6)


def test_reading_follows_the_order_requested_and_names_what_is_missing(items: list[PictureRef], unbroken: Path) -> None:
    cache = FeatureCache(EXTRACTOR, 0, unbroken)
    np.testing.assert_array_equal(cache.read(keys(items)[::-1]), cache.read(keys(items))[::-1])
    assert (len(cache), cache.read([]).shape, cache.verify()) == (110, (0, WIDTH), [])
    with pytest.raises(DataError, match=f"1 of 1 pictures are not in the feature cache.*{'0' * 64}"):
        cache.read(["0" * 64])


def flip(file: Path, position: int) -> None:
    """Flip one bit of a file."""
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)


def test_damaged_features_are_never_handed_out_but_computed_again(
    items: list[PictureRef], filled: Path, unbroken: Path, caplog: pytest.LogCaptureFixture, computed: list[str]
) -> None:
    for row in (3, 50):
        flip(filled / "features.f16", row * 2 * WIDTH + 7)
    cache = FeatureCache(EXTRACTOR, 0, filled)
    cache.ensure(items)
    np.testing.assert_array_equal(cache.read(keys(items)), FeatureCache(EXTRACTOR, 0, unbroken).read(keys(items)))
    assert "2 of 110 records are damaged and are made again" in caplog.text
    assert sorted(computed) == sorted(items[row][0] for row in (3, 50))
    assert content(filled) == content(unbroken)


def test_damaged_features_of_unknown_pictures_name_the_folder_to_delete(items: list[PictureRef], filled: Path) -> None:
    flip(filled / "features.f16", 3)
    with pytest.raises(DataError, match=f"feature cache .*damaged at picture {items[0][0]}.*delete {filled} and run"):
        FeatureCache(EXTRACTOR, 0, filled).read(keys(items))


def test_another_view_has_the_features_of_its_own_pixels(
    items: list[PictureRef], unbroken: Path, tmp_path: Path
) -> None:
    cache = FeatureCache(EXTRACTOR, 1, tmp_path / "cache")
    cache.ensure(items[1:9])
    views = np.stack(
        [
            degraded_views.degraded_view(x, sha256, 1)
            for x, (sha256, _) in zip(canonical(items[1:9]), items[1:9], strict=True)
        ]
    )
    expected = EXTRACTOR.build()(images.to_input(views)).numpy()
    features = cache.read(keys(items[1:9]))
    np.testing.assert_allclose(features, expected, rtol=2**-10, atol=1e-6)
    assert (features != FeatureCache(EXTRACTOR, 0, unbroken).read(keys(items[1:9]))).any(1).all()


@pytest.mark.parametrize(
    ("engine", "workers", "chunk"),
    [("threads", 1, 32), ("threads", 7, 3), pytest.param("processes", 1, 32, marks=pytest.mark.slow)],
)
def test_files_do_not_depend_on_workers_or_chunks(
    items: list[PictureRef],
    unbroken: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: Any,
    workers: int,
    chunk: int,
) -> None:
    monkeypatch.setattr(compute, "WORKER_CHUNK", chunk)
    monkeypatch.setattr(feature_cache, "CHUNK", 50)

    def fill() -> None:
        compute.use_compute(ComputeConfig(engine=engine, workers=workers))
        FeatureCache(EXTRACTOR, 0, tmp_path / "cache").ensure(items)

    copy_context().run(fill)
    assert content(tmp_path / "cache") == content(unbroken)


def test_a_picture_has_the_same_features_whatever_its_neighbours(items: list[PictureRef]) -> None:
    net = converted_backbone.load(EXTRACTOR, EXTRACTOR.identity["weights"]).features
    some = canonical(items[:32])
    together = net(some)
    np.testing.assert_array_equal(net(some[::-1])[::-1], together)
    np.testing.assert_array_equal(net(some[7:8]), together[7:8])


def test_only_what_is_missing_is_computed(items: list[PictureRef], tmp_path: Path, computed: list[str]) -> None:
    cache = FeatureCache(EXTRACTOR, 0, tmp_path / "cache")
    cache.ensure(items[:100])
    assert sorted(computed) == sorted(keys(items[:100]))
    computed.clear()
    cache.ensure([*items[90:], *items[95:105]])
    assert sorted(computed) == sorted(keys(items[100:]))
    assert len(cache) == 110
    computed.clear()
    FeatureCache(EXTRACTOR, 0, tmp_path / "cache").ensure(items)
    assert computed == []


def test_a_picture_is_decoded_once_for_all_views(
    items: list[PictureRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path))
    decoded = []
    load = images.load
    monkeypatch.setattr(images, "load", lambda path, *rest: decoded.append(path) or load(path, *rest))
    for view in range(3):
        FeatureCache(EXTRACTOR, view).ensure(items[:5])
    assert sorted(decoded) == sorted(path for _, path in items[:5])
    assert len(list((tmp_path / "cache" / "features").glob("efficientnet-lite0-[012]-*/features.f16"))) == 3


def test_a_file_that_changed_is_named(items: list[PictureRef], tmp_path: Path) -> None:
    (tmp_path / "changed.png").write_bytes(b"other")
    with pytest.raises(DataError, match=r"changed\.png"):
        FeatureCache(EXTRACTOR, 0, tmp_path / "cache").ensure([("0" * 64, tmp_path / "changed.png")])


def test_an_interrupted_computation_continues(
    items: list[PictureRef], unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computed: list[str]
) -> None:
    monkeypatch.setattr(feature_cache, "CHUNK", 40)
    progress = []

    def interrupt(done: int, missing: int) -> None:
        progress.append((done, missing))
        if done == 80:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FeatureCache(EXTRACTOR, 0, tmp_path / "cache").ensure(items, interrupt)
    assert progress == [(40, 110), (80, 110)]
    computed.clear()
    FeatureCache(EXTRACTOR, 0, tmp_path / "cache").ensure(items)
    assert sorted(computed) == sorted(keys(items[80:]))
    assert content(tmp_path / "cache") == content(unbroken)


def _killed_before_the_entries(folder: Path) -> None:
    os.truncate(folder / "index.bin", (folder / "index.bin").stat().st_size - 10 * 40)


def _killed_while_writing(folder: Path) -> None:
    os.truncate(folder / "features.f16", (folder / "features.f16").stat().st_size - 3 * WIDTH * 2 - 5)


def _zeros_after_a_power_failure(folder: Path) -> None:
    with (folder / "features.f16").open("r+b") as file:
        file.seek(-20 * WIDTH * 2, os.SEEK_END)
        file.write(bytes(20 * WIDTH * 2))


@pytest.mark.parametrize(
    "damage", [_killed_before_the_entries, _killed_while_writing, _zeros_after_a_power_failure, shutil.rmtree]
)
def test_a_damaged_or_deleted_cache_costs_only_time(
    items: list[PictureRef], unbroken: Path, filled: Path, computed: list[str], damage: Callable[[Path], None]
) -> None:
    cache = FeatureCache(EXTRACTOR, 0, filled)
    damage(filled)
    before = FeatureCache(EXTRACTOR, 0, filled)
    bad = [*before.verify(), *keys(items[len(before) :])]
    assert bad
    cache.ensure(items)
    np.testing.assert_array_equal(cache.read(keys(items)), FeatureCache(EXTRACTOR, 0, unbroken).read(keys(items)))
    assert sorted(computed) == sorted(bad)
    assert content(filled) == content(unbroken)


def gradients(model: Any, x: Any) -> list[np.ndarray]:
    """Gradients of the sum of all features, with respect to the input and every weight."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(model(x))
    return [gradient.numpy() for gradient in tape.gradient(total, [x, *model.trainable_variables])]


def test_a_black_picture_has_finite_features_and_gradients(items: list[PictureRef], unbroken: Path) -> None:
    import tensorflow as tf

    assert np.isfinite(FeatureCache(EXTRACTOR, 0, unbroken).read(keys(items)[:1])).all()
    found = gradients(EXTRACTOR.build(), tf.zeros((1, 64, 64, 3)))
    assert len(found) > 10
    assert all(np.isfinite(gradient).all() for gradient in found)


@pytest.mark.parametrize("value", [0.0, 6.0, 1e4])
def test_activations_that_are_the_same_everywhere_have_finite_features_and_gradients(value: float) -> None:
    import keras
    import tensorflow as tf

    activations = keras.Input((None, None, 3))
    model = keras.Model(activations, Extractor("any", ("flat",), GEOMETRY).statistics({"flat": activations}))
    flat = tf.fill((1, 50, 50, 3), value)
    np.testing.assert_allclose(model(flat).numpy(), [[value] * 3 + [1e-3] * 3], rtol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in gradients(model, flat))


def test_the_model_is_saved_and_loaded_without_custom_objects(items: list[PictureRef], tmp_path: Path) -> None:
    import keras

    model = EXTRACTOR.build()
    assert {layer.name.split("_")[0] for layer in model.layers if layer.name.startswith("block")} == {
        "block0",
        "block1",
        "block2",
    }
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects={}, compile=False, safe_mode=True)
    some = images.to_input(canonical(items[:4]))
    np.testing.assert_array_equal(loaded(some).numpy(), model(some).numpy())
    assert loaded.output_shape == (None, WIDTH)


def test_an_unknown_block_is_named() -> None:
    with pytest.raises(ConfigError, match=r"efficientnet-lite0 has no block 'block99'\. Its blocks are stem, block0, "):
        Extractor("efficientnet-lite0", ("block0", "block99"), GEOMETRY).build()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e5])
def test_what_a_float16_cannot_hold_is_an_error(
    items: list[PictureRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    net = converted_backbone.ConvertedBackbone(lambda pixels: np.full((len(pixels), WIDTH), value), WIDTH, "x")
    monkeypatch.setattr(converted_backbone, "load", lambda *_: net)
    with pytest.raises(ModelError, match="not finite or too large"):
        FeatureCache(EXTRACTOR, 0, tmp_path / "cache").ensure(items[:3])


def test_extractors_travel_and_serve_as_keys() -> None:
    again = pickle.loads(pickle.dumps(EXTRACTOR))
    assert again == EXTRACTOR
    assert {again: 1}[EXTRACTOR] == 1


def test_everything_that_affects_the_features_changes_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "some.weights.h5"
    own = Extractor("ResNet50", EXTRACTOR.blocks, GEOMETRY, str(weights))
    folders = [
        default_folder(EXTRACTOR, 0),
        default_folder(EXTRACTOR, 1),
        default_folder(Extractor("efficientnet-lite2", EXTRACTOR.blocks, GEOMETRY), 0),
        default_folder(Extractor("efficientnet-lite0", ("block2", "block0"), GEOMETRY), 0),
        default_folder(Extractor("efficientnet-lite0", EXTRACTOR.blocks, Geometry(64, "squash")), 0),
    ]
    for text in ("one", "other"):
        weights.write_text(text)
        folders.append(default_folder(own, 0))
    moved = Extractor("ResNet50", EXTRACTOR.blocks, GEOMETRY, str(weights.rename(tmp_path / "moved.h5")))
    assert default_folder(moved, 0) == folders[-1]
    for module, name in ((feature_cache, "CACHE_VERSION"), (images, "CACHE_VERSION")):
        monkeypatch.setattr(module, name, getattr(module, name) + 1)
        folders.append(default_folder(EXTRACTOR, 0))
    monkeypatch.setattr(pixel_cache.PIL, "__version__", "0.0")
    folders.append(default_folder(EXTRACTOR, 0))
    monkeypatch.setattr(digests, "versions", lambda packages: dict.fromkeys(packages, "0"))
    folders.append(default_folder(EXTRACTOR, 0))
    monkeypatch.setattr(digests, "code_digests", lambda module: {module: "0"})
    folders += [default_folder(EXTRACTOR, 0), default_folder(EXTRACTOR, 1)]
    monkeypatch.setattr(
        digests, "code_digests", lambda module: {module: "1" if module == "artdetect.pictures.degraded_views" else "0"}
    )
    assert default_folder(EXTRACTOR, 0) == folders[-2]  # the clean view does not use degraded_views
    folders.append(default_folder(EXTRACTOR, 1))
    assert len(set(folders)) == len(folders) == 14
