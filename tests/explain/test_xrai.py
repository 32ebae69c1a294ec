"""XRAI against the saliency package itself, and against a model whose evidence is known."""

import warnings

import keras
import numpy as np
import pytest

from artdetect.errors import ModelError
from artdetect.explain import xrai
from artdetect.explain.arrays import Explanation
from artdetect.explain.model_access import Margin, logits

from .conftest import SIZE, patch_detector

PATCH = (slice(6, 16), slice(18, 28))  # where the picture is bright
QUICK = {"steps": 8, "batch_size": 8, "algorithm": "full"}


def auc(values, truth):
    ranks = np.argsort(np.argsort(values.ravel())) + 1
    positives = truth.sum()
    wins = ranks[truth.ravel()].sum() - positives * (positives + 1) / 2
    return wins / (positives * (truth.size - positives))


@pytest.mark.parametrize("algorithm", ["full", "fast"])
def test_the_map_is_that_of_the_saliency_package(model, picture, algorithm):
    import saliency.core as saliency
    import tensorflow as tf

    margin_model = logits(model)

    def one_at_a_time(images, call_model_args=None, expected_keys=None):
        images = tf.convert_to_tensor(images, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(images)
            out = margin_model(images)
            margin = out[:, 1] - out[:, 0]
        return {saliency.INPUT_OUTPUT_GRADIENTS: tape.gradient(margin, images).numpy()}

    parameters = saliency.XRAIParameters(steps=8, algorithm=algorithm)
    expected = saliency.XRAI().GetMask(picture, one_at_a_time, extra_parameters=parameters)
    found = xrai.explain(model, picture, 1, steps=8, batch_size=3, algorithm=algorithm)
    assert found.attributions.dtype == np.float32
    np.testing.assert_allclose(found.attributions, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("patch_means", [0, 1])
def test_the_evidence_of_a_known_model_is_found_for_the_predicted_class(picture, patch_means):
    model = patch_detector(patch_means=patch_means)
    assert model.predict(picture[None], verbose=0)[0].argmax() == patch_means
    found = xrai.explain(model, picture, **QUICK)
    truth = np.zeros((SIZE, SIZE), bool)
    truth[PATCH] = True
    assert found.target == patch_means
    assert auc(found.attributions, truth) > 0.9
    assert auc(-found.ranks, truth) > 0.9
    assert found.ranks[11, 23] == 1


def test_the_other_class_may_be_named_and_has_the_opposite_evidence(picture):
    model = patch_detector(patch_means=0)
    against = xrai.explain(model, picture, 1, **QUICK)
    truth = np.zeros((SIZE, SIZE), bool)
    truth[PATCH] = True
    assert against.target == 1
    assert auc(against.attributions, truth) < 0.1


def test_the_batch_size_does_not_change_the_map(model, picture):
    maps = [
        xrai.explain(model, picture, steps=8, batch_size=size, algorithm="full").attributions for size in (1, 3, 100)
    ]
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], atol=1e-5 * np.abs(maps[0]).max())


def test_many_pictures_give_what_each_gives_alone_and_are_read_one_by_one(model, picture):
    read = []

    def pictures():
        for number, image in enumerate([picture, picture[::-1].copy()]):
            read.append(number)
            yield image

    found = xrai.explain_many(model, pictures(), [None, 0], **QUICK)
    assert read == []
    first = next(found)
    assert read == [0]
    second = next(found)
    np.testing.assert_array_equal(first.attributions, xrai.explain(model, picture, **QUICK).attributions)
    assert second.target == 0


def test_ranks_number_the_regions_from_one_without_gaps(model, picture):
    found = xrai.explain(model, picture, **QUICK)
    assert found.ranks.dtype == np.int32
    assert np.unique(found.ranks).tolist() == list(range(1, found.ranks.max() + 1))
    levels = [found.attributions[found.ranks == rank] for rank in np.unique(found.ranks)]
    assert all(np.ptp(values) == 0 for values in levels)


def test_without_ranks_each_level_of_the_map_is_a_region():
    levels = np.array([[3, 3, 1], [2, 1, -1]], np.float32)
    assert Explanation(levels, None, 0, {}).regions().tolist() == [[1, 1, 3], [2, 3, 4]]


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_picture_of_one_value_has_a_map_of_zeros(model, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xrai.explain(model, np.full((SIZE, SIZE, 3), value, np.float32), **QUICK)
    assert not found.attributions.any()
    assert (found.ranks == 1).all()


@pytest.mark.parametrize("kind", ["grey", "one colour", "two values", "one pixel"])
@pytest.mark.parametrize("algorithm", ["full", "fast"])
def test_plain_pictures_give_finite_maps(model, picture, kind, algorithm):
    images = {
        "grey": np.repeat(picture[..., :1], 3, axis=2),
        "one colour": np.broadcast_to(np.float32([1, 0, 0.5]), picture.shape).copy(),
        "two values": (picture > 0.5).astype(np.float32),
        "one pixel": np.zeros_like(picture),
    }
    images["one pixel"][3, 4] = 1e-30
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xrai.explain(model, images[kind], steps=4, batch_size=4, algorithm=algorithm)
    assert np.isfinite(found.attributions).all()
    assert found.ranks.min() == 1


def test_warnings_of_others_are_not_silenced(model, picture, monkeypatch):
    true_gradients = Margin.gradients

    def warning_gradients(self, images, target):
        warnings.warn("look at this", UserWarning, stacklevel=1)
        return true_gradients(self, images, target)

    monkeypatch.setattr(Margin, "gradients", warning_gradients)
    with pytest.warns(UserWarning, match="look at this"):
        xrai.explain(model, picture, **QUICK)


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
def test_what_is_not_a_picture_for_the_model_is_refused(model, picture, spoil, error, says):
    with pytest.raises(error, match=says):
        xrai.explain(model, spoil(picture), **QUICK)


@pytest.mark.parametrize(("name", "value"), [("steps", 1), ("batch_size", 0), ("algorithm", "faster"), ("target", 2)])
def test_settings_are_checked_by_name_and_value(model, picture, name, value):
    with pytest.raises(ValueError, match=f"{name}.*Received: {name}={value!r}"):
        xrai.explain(model, picture, **{**QUICK, name: value})


@pytest.mark.parametrize("constant", [False, True])
def test_nan_weights_are_a_model_error(picture, constant):
    model = patch_detector(patch_means=0)
    model.get_layer("head").set_weights([np.full((1, 2), np.nan), np.zeros(2)])
    with pytest.raises(ModelError, match="not finite"):
        xrai.explain(model, np.zeros_like(picture) if constant else picture, **QUICK)


def test_a_gradient_that_is_not_finite_is_a_model_error():
    image = keras.Input((4, 4, 3))
    root = keras.ops.sqrt(keras.layers.GlobalMaxPooling2D()(image))  # infinitely steep at 0
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(root))
    picture = np.zeros((4, 4, 3), np.float32)
    picture[0] = 1
    with pytest.raises(ModelError, match="gradient is not finite"):
        xrai.explain(model, picture, **QUICK)


def test_the_model_answers_saliency_for_gradients_and_values_and_refuses_layer_keys(picture):
    import saliency.core as saliency

    call = xrai.call_model_function(Margin(patch_detector(patch_means=0), 4))
    batch = picture[None].repeat(3, axis=0)
    keys = [saliency.INPUT_OUTPUT_GRADIENTS, saliency.OUTPUT_LAYER_VALUES]
    answer = call(batch, 1, keys)
    assert sorted(answer) == sorted(keys)
    assert answer[keys[0]].shape == batch.shape
    np.testing.assert_allclose(answer[keys[1]], -call(batch, 0, keys)[keys[1]])
    with pytest.raises(ValueError, match="CONVOLUTION_LAYER_VALUES"):
        saliency.GradCam().GetMask(picture, call, 1)
    with pytest.raises(ValueError, match="expected_keys"):
        call(batch, 1)
