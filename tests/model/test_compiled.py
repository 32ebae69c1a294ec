"""What a compiled model says of one picture never depends on the others, on any processor."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import keras
import numpy as np
import pytest

from artdetect.model.compiled import CompiledModel, outputs_of
from artdetect.model.extractor import Extractor
from artdetect.pictures.images import Geometry
from artdetect.train import presets

pytestmark = pytest.mark.bits
SIDE = 24


def prepared(pictures: np.ndarray) -> np.ndarray:
    return pictures.astype(np.float32) / 255


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (37, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def net() -> keras.Model:
    """Convolutions wide enough for every kernel to work in blocks, and two outputs by name."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = inputs
    for filters in (24, 72, 40):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.DepthwiseConv2D(5, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(
        inputs,
        {"probabilities": keras.layers.Dense(2, activation="softmax")(x), "embedding": keras.layers.Dense(50)(x)},
    )


@pytest.fixture(scope="module")
def compiled(net: keras.Model) -> CompiledModel:
    return CompiledModel(partial(outputs_of, net), (SIDE, SIDE, 3), prepared)


@pytest.mark.parametrize("size", [1, 2, 16, 36])
def test_a_picture_has_the_same_outputs_whatever_its_neighbours(
    compiled: CompiledModel, pictures: np.ndarray, size: int
) -> None:
    together = compiled(pictures)
    assert {name: output.shape for name, output in together.items()} == {
        "probabilities": (37, 2),
        "embedding": (37, 50),
    }
    backwards = compiled(pictures[::-1])
    parts = [compiled(pictures[start : start + size]) for start in range(0, len(pictures), size)]
    for name, output in together.items():
        np.testing.assert_array_equal(backwards[name][::-1], output)
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), output)


def test_the_outputs_are_the_models(compiled: CompiledModel, net: keras.Model, pictures: np.ndarray) -> None:
    expected = net(prepared(pictures), training=False)
    for name, output in compiled(pictures).items():
        np.testing.assert_allclose(output, expected[name], rtol=1e-4, atol=1e-6)


def test_threads_share_it(compiled: CompiledModel, pictures: np.ndarray) -> None:
    together = compiled(pictures)["embedding"]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda row: compiled(pictures[row : row + 1])["embedding"][0], range(len(pictures))))
    np.testing.assert_array_equal(found, together)


def test_no_pictures_have_no_outputs(compiled: CompiledModel, pictures: np.ndarray) -> None:
    shapes = {name: output.shape for name, output in compiled(pictures[:0]).items()}
    assert shapes == {"probabilities": (0, 2), "embedding": (0, 50)}


@pytest.mark.parametrize("build", [presets.notebook, presets.compact])
def test_a_presets_net_does_not_depend_on_neighbours(build: Callable[[], keras.Model]) -> None:
    model = build()
    shape = tuple(side or 64 for side in model.input_shape[1:])
    some = np.random.default_rng(1).integers(0, 256, (19, *shape), np.uint8)
    compiled = CompiledModel(partial(outputs_of, model), shape, prepared)
    together = compiled(some)["probabilities"]
    for row in (0, 7, 18):
        np.testing.assert_array_equal(compiled(some[row : row + 1])["probabilities"][0], together[row])


@pytest.mark.slow
def test_hundreds_of_passes_of_the_backbone_from_two_threads_agree_with_each_other() -> None:
    """Passes in parallel inside one graph crashed TensorFlow, or gave wrong numbers, on a processor with AMX."""
    extractor = Extractor("efficientnet-lite0", ("stem..block10",), Geometry(224, "crop"))
    pictures = np.random.default_rng(1).integers(0, 256, (160, 224, 224, 3), np.uint8)
    features = CompiledModel(partial(extractor.build(), training=False), (224, 224, 3), prepared)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(features, [pictures, pictures])
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[:8], np.concatenate([features(pictures[n : n + 1]) for n in range(8)]))
