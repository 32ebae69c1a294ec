"""Integrated gradients where the integral is known."""

import keras
import numpy as np
import pytest

from artdetect.explain.method_settings import BASELINES
from artdetect.explain.methods import path_integration as ig
from artdetect.explain.model_score import ExplainedScore
from tests.explain.conftest import SIZE

PLAIN = ["trapezoid", "midpoint", "saliency"]


def linear(size=4):
    """A model whose margin is linear in the pixels, and their weights for class 0."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((size, size, 3)), layers.Flatten(), layers.Dense(2, activation="softmax", bias_initializer="ones")]
    )
    kernel = model.layers[-1].get_weights()[0]
    return model, (kernel[:, 0] - kernel[:, 1]).reshape(size, size, 3)


def pictures(count, size=SIZE, seed=0):
    return np.random.default_rng(seed).random((count, size, size, 3), np.float32)


def integrated(model, images, targets, *, steps=8, rule="refined", baselines="black_white", batch_size=64):
    score = ExplainedScore(model, "logit_margin", batch_size)
    return ig.PathIntegrator(score, steps, rule, baselines)(images, np.array(targets))


@pytest.mark.parametrize("rule", ["refined", *PLAIN])
@pytest.mark.parametrize("steps", [2, 3, 5, 32, 100])
def test_weights_are_positive_and_sum_to_one_over_rising_points(rule, steps):
    points, weights = ig.quadrature(steps, rule)
    assert points.shape == weights.shape == (steps,)
    assert weights.min() > 0
    assert weights.sum() == pytest.approx(1)
    assert points.min() >= 0
    assert points.max() <= 1
    assert np.diff(points).min() > 0


@pytest.mark.parametrize("rule", ["refined", *PLAIN])
@pytest.mark.parametrize("steps", [2, 10, 32])
def test_each_rule_integrates_a_line_exactly(rule, steps):
    points, weights = ig.quadrature(steps, rule)
    assert weights @ points == pytest.approx(1 / 2)
    assert weights @ (3 - 5 * points) == pytest.approx(1 / 2)


@pytest.mark.parametrize("steps", [2, 10, 32])
def test_each_rule_misses_the_integral_of_the_square_by_what_it_should(steps):
    missed = {rule: weights @ points**2 - 1 / 3 for rule in PLAIN for points, weights in [ig.quadrature(steps, rule)]}
    gap = 1 / (steps - 1)
    assert missed["trapezoid"] == pytest.approx(gap**2 / 6)
    assert missed["midpoint"] == pytest.approx(-1 / (12 * steps**2))
    assert missed["saliency"] == pytest.approx((2 * steps - 1) / (6 * (steps - 1)) - 1 / 3)
    points, weights = ig.quadrature(steps, "refined")
    assert weights @ points**2 - 1 / 3 == pytest.approx(np.sum(np.diff(points) ** 3) / 6)


def test_refined_points_are_those_of_the_trapezoid_and_denser_towards_the_baseline():
    points, _ = ig.quadrature(32, "refined")
    even, _ = ig.quadrature(32 - 6, "trapezoid")
    assert set(even) < set(points)
    first = points[points <= even[1]]
    assert len(first) == 6 + 2
    assert (np.diff(first, 2) > 0).all()
    assert points[0] == 0
    assert points[-1] == 1
    np.testing.assert_array_equal(ig.quadrature(4, "refined"), ig.quadrature(4, "trapezoid"))


def test_refined_points_find_a_leap_next_to_the_baseline():
    slope = 200.0
    missed = {}
    for rule in ("refined", "trapezoid"):
        points, weights = ig.quadrature(32, rule)
        missed[rule] = abs(weights @ (slope * np.exp(-slope * points)) - (1 - np.exp(-slope)))
    assert missed["refined"] < missed["trapezoid"] / 5


@pytest.mark.parametrize("rule", ["refined", *PLAIN])
@pytest.mark.parametrize("baselines", BASELINES)
def test_a_linear_model_has_exact_attributions_and_no_completeness_error(rule, baselines):
    model, weights = linear()
    images = pictures(3, 4)
    found = integrated(model, images, [0, 1, 0], steps=5, rule=rule, baselines=baselines)
    start = ig.make_baselines(images, baselines).mean(axis=1)
    expected = (images - start) * weights * np.array([1, -1, 1])[:, None, None, None]
    assert found.attributions.dtype == np.float32
    np.testing.assert_allclose(found.attributions, expected, atol=1e-6)
    assert found.completeness_error.shape == (3,)
    np.testing.assert_allclose(found.completeness_error, 0, atol=1e-5)


def test_the_completeness_error_is_the_mean_over_the_baselines():
    image = keras.Input((1, 1, 3))
    margin = keras.ops.square(keras.layers.GlobalAveragePooling2D()(image)[:, :1])
    model = keras.Model(image, keras.layers.Softmax()(keras.ops.concatenate([margin, 0 * margin], axis=1)))
    red = np.float32([[[[1.0, 0, 0]]]])
    points, weights = ig.quadrature(4, "saliency")
    from_black = 2 * weights @ points - 1  # of x ** 2
    from_half = 2 * weights @ (0.5 + 0.5 * points) * 0.5 - 0.75
    baselines = np.float32([[[[0, 0, 0]]], [[[0.5, 0, 0]]]])
    found = integrated(model, red, [0], steps=4, rule="saliency", baselines=baselines)
    assert found.completeness_error[0] == pytest.approx((abs(from_black) + abs(from_half)) / 2, abs=1e-6)
    assert integrated(model, red, [0], steps=4, rule="trapezoid", baselines=baselines).completeness_error[0] < 1e-6


def test_more_steps_are_nearer_to_completeness(model):
    images = pictures(2)
    few, many = (integrated(model, images, [0, 1], steps=steps).completeness_error for steps in (3, 48))
    assert (many < few / 2).all()


@pytest.mark.parametrize("baselines", ["black_white", "mean"])
def test_the_batch_size_changes_nothing_beyond_rounding(model, baselines):
    images = pictures(3)
    one, *others = (
        integrated(model, images, [1, 0, 1], steps=7, baselines=baselines, batch_size=size) for size in (1, 4, 14, 64)
    )
    for other in others:
        largest = np.abs(one.attributions).max()
        np.testing.assert_allclose(other.attributions, one.attributions, atol=1e-6 * largest)
        np.testing.assert_allclose(other.completeness_error, one.completeness_error, atol=1e-5)


def test_pictures_of_one_batch_do_not_mix(model):
    images, targets = pictures(4), [0, 1, 1, 0]
    together = integrated(model, images, targets, steps=5, batch_size=16)
    for number, target in enumerate(targets):
        alone = integrated(model, images[number : number + 1], [target], steps=5, batch_size=16)
        largest = np.abs(alone.attributions).max()
        np.testing.assert_allclose(together.attributions[number], alone.attributions[0], atol=1e-6 * largest)
        assert together.completeness_error[number] == pytest.approx(alone.completeness_error[0], abs=1e-5)


def test_the_padding_of_the_last_batch_may_have_no_gradient():
    image = keras.Input((2, 2, 3))
    root = keras.ops.sqrt(keras.layers.GlobalAveragePooling2D()(image))  # infinitely steep at black
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(root))
    found = integrated(model, pictures(1, 2), [0], steps=5, rule="midpoint", baselines="black", batch_size=64)
    assert np.isfinite(found.attributions).all()


def test_named_baselines_are_what_they_say():
    images = pictures(2, 5, seed=1)
    shown = {name: ig.make_baselines(images, name) for name in BASELINES}
    assert shown["black"].ravel().tolist() == [0, 0]
    assert shown["white"].ravel().tolist() == [1, 1]
    assert shown["black_white"].ravel().tolist() == [0, 1, 0, 1]
    assert shown["min_max"][1].ravel().tolist() == [images[1].min(), images[1].max()]
    np.testing.assert_allclose(shown["mean"][0, 0, 0, 0], images[0].mean(axis=(0, 1)), rtol=1e-6)
    for name, baselines in shown.items():
        assert baselines.dtype == np.float32, name
        assert baselines.ndim == 5
        assert np.broadcast_shapes(baselines.shape, images[:, np.newaxis].shape)[2:] == images.shape[1:], name


def test_given_baselines_are_taken_for_every_picture():
    model, weights = linear()
    images, own = pictures(2, 4), pictures(3, 4, seed=9)
    assert ig.make_baselines(images, own).shape == (2, 3, 4, 4, 3)
    found = integrated(model, images, [0, 0], baselines=own)
    np.testing.assert_allclose(found.attributions, (images - own.mean(axis=0)) * weights, atol=1e-6)
