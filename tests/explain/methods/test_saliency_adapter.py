"""A model's answers to the saliency package, and where its last convolution is."""

import keras
import numpy as np
import pytest
import saliency.core as saliency

from artdetect.core.errors import ModelError
from artdetect.explain.methods.grad_cam import GradCAM
from artdetect.explain.methods.integrated_gradients import IntegratedGradients
from artdetect.explain.methods.saliency_adapter import Convolution, call_model_function
from artdetect.explain.model_score import ExplainedScore, logits
from tests.explain.conftest import SIZE, auc, patch_detector, truth

pytestmark = pytest.mark.filterwarnings(
    "error",
    "ignore:__array__ implementation:DeprecationWarning",  # of Keras when it saves
)


@pytest.fixture(scope="module")
def call_model(model):
    return call_model_function(ExplainedScore(model, "logit_margin", 8))


def test_the_model_answers_all_of_the_packages_keys(picture, call_model, model):
    batch = picture[None].repeat(3, axis=0)
    keys = [saliency.INPUT_OUTPUT_GRADIENTS, saliency.OUTPUT_LAYER_VALUES, saliency.CONVOLUTION_LAYER_VALUES]
    answer = call_model(batch.astype(np.float64), 1, keys)
    assert list(answer) == keys
    assert answer[keys[0]].shape == batch.shape
    np.testing.assert_allclose(answer[keys[1]], logits(model)(batch).numpy() @ [-1, 1], rtol=1e-5)
    np.testing.assert_allclose(answer[keys[1]], -call_model(batch, 0, keys)[keys[1]])
    assert answer[keys[2]].shape == (3, 15, 15, 8)


@pytest.mark.parametrize("keys", [None, [], ["LOGITS"]])
def test_the_model_answers_no_other_keys(picture, call_model, keys):
    with pytest.raises(ValueError, match=r"`expected_keys` must be among .*CONVOLUTION_LAYER_VALUES"):
        call_model(picture[None], 1, keys)


@pytest.mark.parametrize("target", [None, 2])
def test_the_class_must_be_given(picture, call_model, target):
    with pytest.raises(ValueError, match="must be the class, 0 or 1"):
        call_model(picture[None], target, [saliency.OUTPUT_LAYER_VALUES])


# --- where the last convolution is ---


def test_the_last_convolution_is_the_last_layer_with_a_picture_for_output(model, picture):
    pooled = model.layers[2]
    assert isinstance(pooled, keras.layers.MaxPooling2D)
    values, gradients = Convolution(ExplainedScore(model, "logit_margin", 4))(picture[None], np.array([1]))
    expected = keras.Model(model.inputs[0], pooled.output)(picture[None]).numpy()
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    head = model.layers[-1].get_weights()[0]
    np.testing.assert_allclose(gradients, (head[:, 1] - head[:, 0]).reshape(values.shape), rtol=1e-5)


def test_layers_of_one_pixel_are_no_picture(picture):
    image = keras.Input((SIZE, SIZE, 3))
    maps = keras.layers.Conv2D(2, 3, strides=4)(image)
    pooled = keras.layers.Conv2D(4, 1)(keras.layers.GlobalAveragePooling2D(keepdims=True)(maps))
    output = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(pooled))
    values, gradients = Convolution(ExplainedScore(keras.Model(image, output), "logit", 4))(
        picture[None], np.array([0])
    )
    assert values.shape == gradients.shape == (1, 8, 8, 2)


def test_gradcam_works_for_models_in_models_and_into_those_from_a_file(picture, tmp_path):
    inner = patch_detector(patch_means=0)
    features = keras.Model(inner.inputs, inner.get_layer("bright").output, name="features")
    image = keras.Input((SIZE, SIZE, 3))
    found = keras.layers.GlobalAveragePooling2D()(features(image))
    outer = keras.Model(image, keras.layers.Dense(2, activation="softmax", name="head")(found))
    outer.get_layer("head").set_weights(inner.get_layer("head").get_weights())
    outer.save(tmp_path / "model.keras")
    expected = GradCAM(inner)(picture[None])[0].heatmap
    assert expected.max() > 0
    for model in (outer, keras.models.load_model(tmp_path / "model.keras")):
        before = [layer.call for layer in model.layers]
        np.testing.assert_allclose(GradCAM(model)(picture[None])[0].heatmap, expected, rtol=1e-4)
        assert [layer.call for layer in model.layers] == before


def test_of_several_views_the_picture_itself_counts(picture):
    inner = patch_detector(patch_means=0)
    features = keras.Model(inner.inputs, keras.layers.GlobalAveragePooling2D()(inner.get_layer("bright").output))
    image = keras.Input((SIZE, SIZE, 3))
    views = [features(image), features(keras.ops.flip(image, axis=2)), features(image[:, 4:, 4:])]
    head = keras.layers.Dense(2, name="head")
    model = keras.Model(image, keras.layers.Softmax()(head(keras.layers.Average()(views))))
    head.set_weights(inner.get_layer("head").get_weights())
    found = GradCAM(model)(picture[None])[0]
    assert found.heatmap.shape == (SIZE, SIZE)
    assert auc(found.heatmap, truth()) > 0.9


def test_a_model_without_a_convolution_is_refused_by_gradcam_alone(picture):
    image = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(image)))
    with pytest.raises(ModelError, match=r"none of its layers gives \[N, h, w, K\]") as raised:
        GradCAM(model)(picture[None])
    assert "\n" not in str(raised.value)
    assert IntegratedGradients(model)(picture[None])[0].score > 0
