"""The methods without regions against the saliency package, and against a model whose evidence is known."""

import json
from typing import get_args

import keras
import numpy as np
import pytest
import saliency.core as saliency

from artdetect.core.errors import ModelError
from artdetect.explain.method_settings import METHODS, Method
from artdetect.explain.methods import make
from artdetect.explain.methods.artworks import enlarged
from artdetect.explain.methods.blur_ig import BlurIG
from artdetect.explain.methods.grad_cam import GradCAM
from artdetect.explain.methods.integrated_gradients import IntegratedGradients
from artdetect.explain.methods.saliency_adapter import call_model_function
from artdetect.explain.methods.smoothgrad import SmoothGrad
from artdetect.explain.model_score import ExplainedScore
from artdetect.model.parts import Parts
from artdetect.model.pooled_net import PooledNet
from artdetect.model.probabilities import Calibration
from tests.explain.conftest import SIZE, auc, patch_detector, truth

pytestmark = pytest.mark.filterwarnings(
    "error",
    "ignore:__array__ implementation:DeprecationWarning",  # of Keras when it saves
)

PIXEL_METHODS = {
    "evidence": {},
    "integrated_gradients": {"steps": 8},
    "blur_ig": {"steps": 8, "max_sigma": 6},
    "smoothgrad": {"samples": 5},
    "gradcam": {},
}
SIGNED = ["integrated_gradients", "blur_ig", "smoothgrad"]
each_method = pytest.mark.parametrize("method", PIXEL_METHODS)


def make_quick(method, model, **settings):
    return make(method, model, **{**PIXEL_METHODS[method], **settings})


@pytest.fixture(scope="module")
def call_model(model):
    return call_model_function(ExplainedScore(model, "logit_margin", 8))


@each_method
@pytest.mark.parametrize("patch_means", [0, 1])
def test_each_method_finds_the_evidence_of_a_known_model(picture, method, patch_means):
    found = make_quick(method, patch_detector(patch_means=patch_means))(picture[None])[0]
    assert found.target == patch_means
    assert found.heatmap.dtype == np.float32
    assert found.heatmap.shape == (SIZE, SIZE)
    assert (found.ranks is None) == (method != "evidence")
    assert found.score > 0
    assert auc(found.heatmap, truth()) > 0.9
    assert (found.completeness_error is not None) == METHODS[method].complete


@pytest.mark.parametrize("method", SIGNED)
def test_the_other_class_has_the_opposite_evidence(model, picture, method):
    found = make_quick(method, model)(np.stack([picture] * 2), [0, 1])
    assert [one.target for one in found] == [0, 1]
    largest = np.abs(found[0].heatmap).max()
    assert largest > 0
    np.testing.assert_allclose(found[1].heatmap, -found[0].heatmap, atol=1e-5 * largest)


def test_the_evidence_of_the_other_class_is_the_opposite_but_for_the_regions_it_is_ranked_in(model, picture):
    ai, human = make_quick("evidence", model)(np.stack([picture] * 2), [0, 1])
    assert np.corrcoef(ai.heatmap.ravel(), human.heatmap.ravel())[0, 1] < -0.9
    assert (ai.score, ai.heatmap.mean()) == pytest.approx((-human.score, -human.heatmap.mean()), rel=1e-3)


def test_gradcam_explains_the_given_class(picture):
    found = make_quick("gradcam", patch_detector(patch_means=0))(np.stack([picture] * 2), [0, 1])
    assert found[0].heatmap.max() > 0
    assert not found[1].heatmap.any()


@pytest.mark.parametrize(("counting", "side"), [((), 64), ((64, 96), 64), ((96,), 96)])
def test_no_region_is_smaller_than_the_windows_that_count_in_the_evidence(counting, side):
    """Windows of a size that is not calibrated are left out of the map."""
    model = patch_detector(patch_means=0)
    parts = Parts(
        PooledNet.of(model).layers, {each: Calibration(1.0) if each in counting else None for each in (64, 96)}
    )
    explainer = make("evidence", model, parts=parts)
    pixels = np.full((1, 128, 128, 3), 0.25, np.float32)
    pixels[:, :48, :48] = 0.9
    (found,) = explainer(pixels)
    assert explainer.grain(128) == side / 128
    assert found.regions
    assert min(region.area for region in found.regions) >= (side / 128) ** 2


def test_no_region_is_smaller_than_a_cell_of_the_layer_that_gradcam_shows():
    image = keras.Input((SIZE, SIZE, 3))
    bright = keras.layers.Conv2D(1, 8, strides=8, activation="relu", name="bright")(image)
    output = keras.layers.Dense(2, activation="softmax", name="head")(keras.layers.GlobalAveragePooling2D()(bright))
    model = keras.Model(image, output)
    model.get_layer("bright").set_weights([np.full((8, 8, 3, 1), 1 / 192), np.array([-0.6])])
    model.get_layer("head").set_weights([np.array([[300.0, -300.0]]), np.array([-1.0, 1.0])])
    pixels = np.full((1, SIZE, SIZE, 3), 0.25, np.float32)
    pixels[0, 8:16, 8:16] = 0.9  # one cell of 4 x 4
    explainer = GradCAM(model)
    (found,) = explainer(pixels)
    assert explainer.grain(SIZE) == 1 / 4
    assert [region.area >= 1 / 16 for region in found.regions] == [True]


# --- against the package ---


@pytest.mark.parametrize("target", [0, 1])
def test_integrated_gradients_are_the_packages(model, picture, call_model, target):
    settings = {"steps": 10, "quadrature": "saliency", "baselines": "black"}
    found = IntegratedGradients(model, **settings)(picture[None], [target])[0]
    expected = saliency.IntegratedGradients().GetMask(picture, call_model, target, x_steps=10, batch_size=8)
    np.testing.assert_allclose(found.attributions, expected, atol=1e-6 * np.ptp(expected))
    np.testing.assert_allclose(found.heatmap, expected.sum(axis=2), atol=1e-5 * np.ptp(expected))


def test_blur_ig_is_the_packages(model, picture, call_model):
    found = BlurIG(model, steps=12, max_sigma=4, channel_reduce="max", batch_size=5)(picture[None], [1])[0]
    expected = saliency.BlurIG().GetMask(picture, call_model, 1, max_sigma=4, steps=12, batch_size=5)
    np.testing.assert_allclose(found.attributions, expected, atol=1e-6 * np.ptp(expected))
    np.testing.assert_allclose(found.heatmap, expected.max(axis=2), atol=1e-6 * np.ptp(expected))


@pytest.mark.parametrize("magnitude", [False, True])
def test_smoothgrad_is_the_packages_for_the_same_generator(model, picture, call_model, magnitude):
    explainer = SmoothGrad(model, samples=7, noise=0.3, magnitude=magnitude, seed=4, batch_size=3)
    found = explainer(picture[None], [1])[0]
    before = np.random.get_state()
    np.random.seed(4)
    expected = saliency.GradientSaliency().GetSmoothedMask(
        picture, call_model, 1, stdev_spread=0.3, nsamples=7, magnitude=magnitude
    )
    np.random.set_state(before)
    np.testing.assert_allclose(found.attributions, expected, atol=1e-6 * np.ptp(expected))


def test_gradcam_is_the_packages(model, picture, call_model):
    found = GradCAM(model)(picture[None], [1])[0]
    expected = saliency.GradCam().GetMask(picture, call_model, 1, three_dims=False)
    inside = slice(2, -2)  # the package mirrors the picture about the centres of its edge pixels, Pillow does not
    ours, theirs = found.heatmap[inside, inside], expected[inside, inside]
    assert np.ptp(theirs) > 0
    np.testing.assert_allclose(ours / ours.max(), theirs / theirs.max(), atol=1e-5)


def test_smoothgrads_noise_is_each_pictures_own_and_leaves_the_global_generator_alone(model, picture):
    other = np.roll(picture, 5, axis=0)
    np.random.seed(11)
    expected = np.random.random(3)
    np.random.seed(11)
    explainer = make_quick("smoothgrad", model)
    together, alone = explainer(np.stack([picture, other])), explainer(other[None])
    np.testing.assert_array_equal(together[1].heatmap, alone[0].heatmap)
    np.testing.assert_array_equal(np.random.random(3), expected)
    reseeded = make_quick("smoothgrad", model, seed=1)(other[None])[0]
    assert np.abs(reseeded.heatmap - alone[0].heatmap).max() > 0


def test_completeness_errors_shrink_with_the_steps(model, picture):
    for method, few, many in (("integrated_gradients", 3, 60), ("blur_ig", 3, 60)):
        errors = [make_quick(method, model, steps=steps)(picture[None])[0].completeness_error for steps in (few, many)]
        assert errors[1] < errors[0] / 2, method


# --- what comes in ---


@each_method
def test_constant_pictures_have_finite_maps(model, method):
    images = np.stack([np.full((SIZE, SIZE, 3), value, np.float32) for value in (0, 0.5, 1)])
    for found in make_quick(method, model)(images):
        assert found.heatmap.shape == (SIZE, SIZE)
        assert np.isfinite(found.heatmap).all()


@pytest.mark.parametrize("method", [name for name in PIXEL_METHODS if name != "evidence"])
def test_the_heatmap_is_enlarged_smoothly_to_a_larger_artwork(model, picture, method):
    explainer = make_quick(method, model, resolution=100)
    artworks = [np.zeros((200, 300, 3), np.uint8), np.zeros((40, 50), np.uint8), np.zeros((3, 9, 3), np.uint8)]
    small = explainer(picture[None])[0].heatmap
    large, slight, same = (one.heatmap for one in explainer(np.stack([picture] * 3), artworks=artworks))
    assert (large.shape, slight.shape, same.shape) == ((67, 100), (40, 50), (SIZE, SIZE))
    np.testing.assert_allclose(same, small, atol=1e-6 * np.ptp(small))
    assert np.corrcoef(large.ravel(), enlarged(same, (67, 100)).ravel())[0, 1] > 0.99


@each_method
def test_nan_weights_are_a_model_error(picture, method):
    model = patch_detector(patch_means=0)
    model.get_layer("head").set_weights([np.full((1, 2), np.nan), np.zeros(2)])
    with pytest.raises(ModelError, match="not finite"):
        make_quick(method, model)(picture[None])


@each_method
def test_no_pictures_have_no_explanations(model, method):
    assert len(make_quick(method, model)([])) == 0


# --- make ---


def test_every_method_is_made_by_its_name(model):
    assert list(METHODS) == ["evidence", "xrai", "integrated_gradients", "blur_ig", "smoothgrad", "gradcam"]
    assert list(METHODS) == list(get_args(Method))
    for name, settings in METHODS.items():
        explainer = make(name, model, target="logit", batch_size=4, resolution=64)
        assert type(explainer.settings) is settings
        assert (explainer.config["method"], explainer.config["target"]) == (name, "logit")


def test_unknown_methods_and_settings_are_refused_by_name(model):
    with pytest.raises(ValueError, match=r"`method` must be one of .*'gradcam'.*Received: method='lime'"):
        make("lime", model)
    with pytest.raises(ValueError, match=r"method 'gradcam' has no setting `steps`. It has target, resolution"):
        make("gradcam", model, steps=3)


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("integrated_gradients", "steps", 1),
        ("integrated_gradients", "quadrature", "simpson"),
        ("integrated_gradients", "baselines", "grey"),
        ("integrated_gradients", "channel_reduce", "min"),
        ("blur_ig", "steps", 0),
        ("blur_ig", "max_sigma", 0),
        ("blur_ig", "grad_step", 0),
        ("smoothgrad", "samples", 0),
        ("smoothgrad", "noise", -1),
        ("smoothgrad", "seed", 0.5),
        ("gradcam", "resolution", 0),
        ("gradcam", "target", "class"),
        ("gradcam", "batch_size", 0),
    ],
)
def test_settings_are_checked_by_name_and_value(model, method, name, value):
    with pytest.raises(ValueError, match=f"{name}.*Received: {name}={value!r}"):
        make(method, model, **{name: value})


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        (
            "integrated_gradients",
            {"baselines": np.ones((1, SIZE, SIZE, 3), np.float32), "steps": 9, "quadrature": "midpoint"},
        ),
        ("blur_ig", {"steps": np.int64(9), "max_sigma": np.float32(2), "grad_step": 0.1, "channel_reduce": "max"}),
        ("smoothgrad", {"samples": 9, "noise": 0.1, "magnitude": True, "seed": 1}),
        ("gradcam", {"resolution": 9, "target": "probability"}),
        ("evidence", {"resolution": 9, "target": "probability"}),
    ],
)
def test_the_config_is_json_and_changes_with_every_setting(model, method, changes):
    configs = [make(method, model, **{name: value}).config for name, value in changes.items()]
    texts = {json.dumps(config, sort_keys=True) for config in (make(method, model).config, *configs)}
    assert len(texts) == len(changes) + 1
    assert make(method, model, batch_size=3).config == make(method, model).config
