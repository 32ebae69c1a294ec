"""What all explainers share, tested with XRAI: batches, endless streams, artworks of any kind, and invalid input."""

from itertools import count, islice

import keras
import numpy as np
import pytest
from PIL import Image

from artdetect.core.errors import ModelError
from artdetect.explain.methods.xrai import XRAI
from tests.explain.conftest import SIZE, patch_detector, small_model
from tests.explain.synthetic_pictures import mosaic

pytestmark = pytest.mark.filterwarnings("error")

QUICK = {"steps": 6, "workers": 2}


@pytest.fixture(scope="module")
def quick(model):
    return XRAI(model, **QUICK)


# --- batches and streams ---


def test_a_stream_takes_a_group_at_a_time_and_need_not_end():
    picture, taken = mosaic((128, 128), 3, 50, seed=0), []

    def endless():
        for number in count():
            taken.append(number)
            yield np.roll(picture, number, axis=0)

    found = XRAI(small_model(128, seed=0), steps=2).stream(endless(), (number % 2 for number in count()))
    assert taken == []
    targets = [next(found).target]
    group = len(taken)
    assert group == 16
    targets += [one.target for one in islice(found, group - 1)]
    assert len(taken) == group
    targets.append(next(found).target)
    assert len(taken) == 2 * group
    assert targets == [number % 2 for number in range(group + 1)]


def test_a_stream_gives_what_a_batch_gives(quick, picture):
    images = np.stack([picture, picture[::-1]])
    artworks = [np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8), None]
    batch, stream = quick(images, [1, 0], artworks), list(quick.stream(iter(images), iter([1, 0]), iter(artworks)))
    for one, other in zip(batch, stream, strict=True):
        np.testing.assert_array_equal(one.heatmap, other.heatmap)
        np.testing.assert_array_equal(one.ranks, other.ranks)
    assert [one.target for one in stream] == [1, 0]


def test_a_class_may_be_named_for_some_pictures_only(picture):
    xrai = XRAI(patch_detector(patch_means=1), **QUICK)
    assert [one.target for one in xrai(np.stack([picture] * 3), [None, 0, 1])] == [1, 0, 1]


def test_no_pictures_have_no_explanations(model):
    xrai = XRAI(model)
    for images in (np.zeros((0, SIZE, SIZE, 3), np.float32), []):
        assert xrai(images, [], []) == []
    assert list(xrai.stream(iter([]))) == []


@pytest.mark.parametrize("name", ["targets", "artworks"])
def test_what_comes_with_the_pictures_must_be_one_for_each(quick, picture, name):
    with pytest.raises(ValueError, match=f"`{name}` must be one for each picture, 2. Received: 1"):
        quick(np.stack([picture, picture]), **{name: [None]})
    with pytest.raises(ValueError, match="shorter"):
        list(quick.stream([picture, picture], **{name: [None]}))


# --- artworks ---


def test_artworks_of_any_kind_and_size_give_their_resolution(model, picture):
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (50, 70), np.uint8)
    clear = Image.fromarray(rng.integers(0, 256, (40, 60, 4), np.uint8))
    given = {
        "greyscale": (grey, (50, 70)),
        "one channel": (grey[..., None], (50, 70)),
        "Pillow, greyscale": (Image.fromarray(grey), (50, 70)),
        "Pillow, transparent": (clear, (40, 60)),
        "three channels, reversed in memory": (np.asarray(clear)[::-1, ::-1, :3], (40, 60)),
        "one pixel": (np.full((1, 1, 3), 9, np.uint8), (SIZE, SIZE)),
        "as small as the picture": (grey[:32, :20], (32, 20)),
        "a strip": (rng.integers(0, 256, (8000, 8), np.uint8), (100, 1)),
        "large": (np.broadcast_to(np.arange(3000, dtype=np.uint8), (2000, 3000)), (67, 100)),
        "none": (None, (SIZE, SIZE)),
    }
    xrai = XRAI(model, resolution=100, **QUICK)
    artworks = [artwork for artwork, _ in given.values()]
    found = xrai(np.stack([picture] * len(given)), artworks=artworks)
    for (name, (_, shape)), one in zip(given.items(), found, strict=True):
        assert one.heatmap.shape == one.ranks.shape == shape, name
        assert np.isfinite(one.heatmap).all(), name
        assert one.ranks.min() == 1, name
    np.testing.assert_array_equal(found[0].ranks, found[1].ranks)
    np.testing.assert_array_equal(found[0].ranks, found[2].ranks)


def test_a_transparent_artwork_lies_over_white(quick, picture):
    rng = np.random.default_rng(1)
    hidden = np.dstack([rng.integers(0, 256, (64, 64, 3), np.uint8), np.zeros((64, 64, 1), np.uint8)])
    found = quick(picture[None], artworks=[Image.fromarray(hidden)])[0]
    assert found.ranks.max() == 1


@pytest.mark.parametrize(
    "artwork",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8), "a.png"],
)
def test_what_is_not_an_artwork_is_refused(quick, picture, artwork):
    with pytest.raises(ValueError, match=r"artwork must be a Pillow image or uint8 \[h, w\].*Received"):
        quick(picture[None], artworks=[artwork])


# --- what is refused ---


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (lambda image: (image * 255).astype(np.uint8), TypeError, "uint8"),
        (lambda image: image.astype(np.float64), TypeError, "float64"),
        (lambda image: image.tolist(), TypeError, "list"),
        (lambda image: image * 255, ValueError, r"\[0, 1\]"),
        (lambda image: image - 1, ValueError, r"\[0, 1\]"),
        (lambda image: np.full_like(image, np.nan), ValueError, "nan"),
        (lambda image: image[None], ValueError, r"\[1, 32, 32, 3\]"),
        (lambda image: image[..., 0], ValueError, r"\[32, 32\]"),
        (lambda image: image[..., [0, 1, 2, 2]], ValueError, r"\[32, 32, 4\]"),
        (lambda image: image[:16], ValueError, r"\[16, 32, 3\]"),
    ],
)
def test_what_is_not_a_picture_for_the_model_is_refused(quick, picture, spoil, error, says):
    with pytest.raises(error, match=says):
        quick([picture, spoil(picture)])
    with pytest.raises(error, match=says):
        next(quick.stream([spoil(picture)]))


@pytest.mark.parametrize("target", [2, -1, 0.5, "AI"])
def test_a_class_that_does_not_exist_is_refused(quick, picture, target):
    with pytest.raises(ValueError, match=f"`targets` must be None, 0 or 1 each. Received: target={target!r}"):
        quick(picture[None], [target])


@pytest.mark.parametrize("value", [None, 0.0, 0.4])
def test_nan_weights_are_a_model_error(picture, value):
    model = patch_detector(patch_means=0)
    model.get_layer("head").set_weights([np.full((1, 2), np.nan), np.zeros(2)])
    with pytest.raises(ModelError, match="not finite"):
        XRAI(model, **QUICK)((picture if value is None else np.full_like(picture, value))[None])


def test_a_gradient_that_is_not_finite_is_a_model_error():
    image = keras.Input((4, 4, 3))
    root = keras.ops.sqrt(keras.layers.GlobalMaxPooling2D()(image))  # infinitely steep at black
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(root))
    picture = np.zeros((1, 4, 4, 3), np.float32)
    picture[0, 0] = 1
    with pytest.raises(ModelError, match="gradient is not finite"):
        XRAI(model, **QUICK)(picture)


def test_a_model_without_a_softmax_is_refused_at_once():
    image = keras.Input((4, 4, 3))
    with pytest.raises(ModelError, match="softmax"):
        XRAI(keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image))))
