"""The logits of a model, the models that have none, and the score that is explained."""

import keras
import numpy as np
import pytest

from artdetect.core.errors import ModelError
from artdetect.explain.model_score import ExplainedScore, logits
from tests.explain.conftest import SIZE, patch_detector


@pytest.mark.parametrize("separate_softmax", [False, True])
def test_logits_share_the_weights_and_leave_the_model_alone(picture, separate_softmax):
    model = patch_detector(patch_means=0, separate_softmax=separate_softmax)
    config, before = model.to_json(), model.predict(picture[None], verbose=0)
    plain = logits(model)
    softmax = keras.ops.softmax(plain(picture[None])).numpy()
    np.testing.assert_allclose(softmax, before, rtol=1e-5)
    assert {id(weight) for weight in plain.weights} == {id(weight) for weight in model.weights}
    assert model.to_json() == config
    np.testing.assert_array_equal(model.predict(picture[None], verbose=0), before)
    model.get_layer("head").set_weights([np.zeros((1, 2)), np.array([1.0, 4.0])])
    np.testing.assert_allclose(plain(picture[None]).numpy(), [[1, 4]])


def test_the_logits_of_calibrated_probabilities_are_those_before_their_bounds(picture, tmp_path):
    from artdetect.model.probabilities import Calibration, probabilities

    image = keras.Input((SIZE, SIZE, 3))
    given = keras.layers.Dense(2, name="given")(keras.layers.Flatten()(image))
    calibrated = keras.Model(image, probabilities(given, mapping := Calibration(2.0, 0.1, 0.8)))
    calibrated.save(tmp_path / "model.keras")
    for model in (calibrated, keras.models.load_model(tmp_path / "model.keras")):
        before = keras.Model(model.input, model.get_layer("given").output)(picture[None]).numpy()
        found = logits(model)(picture[None]).numpy()
        np.testing.assert_allclose(found, before / 2, rtol=1e-5)
        p_ai = mapping(before[:, 0] - before[:, 1])
        np.testing.assert_allclose(model(picture[None]).numpy(), np.stack([p_ai, 1 - p_ai], axis=1), atol=1e-6)
        margin = ExplainedScore(model, "logit_margin", 1).values(picture[None], np.array([0]))
        np.testing.assert_allclose(margin, (before[:, 0] - before[:, 1]) / 2, rtol=1e-4)


def test_logits_of_a_model_that_was_saved_and_that_also_stands_in_another(model, picture, tmp_path):
    keras.Sequential([keras.Input((SIZE, SIZE, 3)), model]).predict(picture[None], verbose=0)
    expected = logits(model)(picture[None]).numpy()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(logits(loaded)(picture[None]).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("units", "activation", "channels"), [(2, "linear", 3), (1, "sigmoid", 3), (3, "softmax", 3), (2, "softmax", 1)]
)
def test_a_model_of_another_kind_is_refused(units, activation, channels):
    image = keras.Input((8, 8, channels))
    output = keras.layers.Dense(units, activation=activation)(keras.layers.GlobalAveragePooling2D()(image))
    with pytest.raises(ModelError, match="Received"):
        logits(keras.Model(image, output))


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(ModelError, match="built"):
        logits(keras.Sequential([keras.layers.Dense(2, activation="softmax")]))


# --- the score ---

TARGETS = ("logit_margin", "logit", "probability")


def smooth_model():
    """A model without kinks, so that differences give the slope."""
    keras.utils.set_random_seed(7)
    layers = keras.layers
    stack = [keras.Input((6, 6, 3)), layers.Conv2D(3, 3, activation="tanh"), layers.Flatten()]
    return keras.Sequential([*stack, layers.Dense(2, activation="softmax")])


def noise(count):
    return np.random.default_rng(0).random((count, 6, 6, 3), np.float32)


def test_each_target_is_what_it_says():
    model, images, targets = smooth_model(), noise(5), np.array([0, 1, 1, 0, 1])
    found, rows = logits(model)(images).numpy(), np.arange(5)
    expected = {
        "logit_margin": found[rows, targets] - found[rows, 1 - targets],
        "logit": found[rows, targets],
        "probability": model.predict(images, verbose=0)[rows, targets],
    }
    for target in TARGETS:
        score = ExplainedScore(model, target, 2)
        assert score.values(images, targets).dtype == np.float32
        np.testing.assert_allclose(score.values(images, targets), expected[target], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(score.logits(images), found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_are_the_slope_of_the_score(target):
    score, images, targets = ExplainedScore(smooth_model(), target, 4), noise(3), np.array([0, 1, 1])
    found = score.gradients(images, targets)
    assert (found.dtype, found.shape) == (np.float32, images.shape)
    largest = np.abs(found).max()
    assert largest > 0.001
    for place in [(0, 0, 0), (2, 3, 1), (5, 5, 2)]:
        step = np.zeros_like(images)
        step[:, *place] = 0.01
        slope = (score.values(images + step, targets) - score.values(images - step, targets)) / 0.02
        np.testing.assert_allclose(found[:, *place], slope, atol=0.01 * largest)


@pytest.mark.parametrize("target", TARGETS)
def test_the_classes_have_opposite_slopes_but_for_the_logit_alone(target):
    score, images = ExplainedScore(smooth_model(), target, 4), noise(1)
    one, other = (score.gradients(images, np.array([number])) for number in (0, 1))
    assert np.allclose(one, -other, atol=1e-6) == (target != "logit")


def test_the_margin_has_a_slope_where_the_probability_is_sure_of_itself():
    model = smooth_model()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias + np.array([200, 0])])
    slopes = {
        target: np.abs(ExplainedScore(model, target, 4).gradients(noise(1), np.array([0]))).max() for target in TARGETS
    }
    assert slopes["probability"] == 0
    assert slopes["logit_margin"] > 0.001


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_pictures_keep_their_own_scores_whatever_the_batch(batch_size):
    model, images, targets = smooth_model(), noise(5), np.array([0, 1, 1, 0, 1])
    score = ExplainedScore(model, "logit_margin", batch_size)
    alone = np.concatenate([score.gradients(images[[n]], targets[[n]]) for n in range(5)])
    np.testing.assert_allclose(score.gradients(images, targets), alone, atol=1e-6)


def test_large_pictures_are_given_to_the_model_a_few_at_a_time():
    sizes = [ExplainedScore(patch_detector(patch_means=0), "logit", 64).batch_size]
    for side in (32, 256, 2048):
        image = keras.Input((side, side, 3))
        output = keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling2D()(image))
        sizes.append(ExplainedScore(keras.Model(image, output), "logit", 64).batch_size)
    assert sizes == [16, 64, 16, 1]


def test_the_padding_of_a_batch_may_have_no_score():
    image = keras.Input((2, 2, 3))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    shares = mean / keras.ops.sum(mean, axis=1, keepdims=True)  # of black, not a number
    score = ExplainedScore(keras.Model(image, keras.layers.Dense(2, activation="softmax")(shares)), "logit_margin", 8)
    bright, black = np.full((1, 2, 2, 3), 0.5, np.float32), np.zeros((1, 2, 2, 3), np.float32)
    assert np.isfinite(score.logits(bright)).all()
    assert np.isfinite(score.gradients(bright, np.array([0]))).all()
    for found in (lambda: score.logits(black), lambda: score.gradients(black, np.array([0]))):
        with pytest.raises(ModelError, match="not finite"):
            found()
