"""The logits of a model, and the models that have none."""

import keras
import numpy as np
import pytest

from artdetect.errors import ModelError
from artdetect.explain.model_access import logits

from .conftest import SIZE, patch_detector


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
