"""Models and a picture whose explanation is known or cheap to compute."""

import keras
import numpy as np
import pytest
from scipy.stats import rankdata

SIZE = 32


@pytest.fixture(scope="session")
def model():
    """A small CNN like the notebook's, with seeded random weights."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    stack = [
        keras.Input((SIZE, SIZE, 3)),
        layers.Conv2D(8, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(2, activation="softmax"),
    ]
    return keras.Sequential(stack)


@pytest.fixture(scope="session")
def picture():
    rng = np.random.default_rng(1)
    image = 0.25 + 0.1 * rng.random((SIZE, SIZE, 3))
    image[truth()] = 0.9
    return image.astype(np.float32)


def small_model(size, seed):
    """A net of any picture size with seeded random weights, whose map has signs, plateaus and closed ReLUs."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(4, 5, strides=max(2, size // 32), activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )


def truth():
    """bool [SIZE, SIZE]: where `picture` is bright, which is all that `patch_detector` reacts to."""
    bright = np.zeros((SIZE, SIZE), bool)
    bright[6:16, 18:28] = True
    return bright


def auc(values, truth):
    """How well `values` separate the pixels of `truth` from the others, from 0 to 1."""
    ranks = rankdata(values)
    positives = truth.sum()
    wins = ranks[truth.ravel()].sum() - positives * (positives + 1) / 2
    return wins / (positives * (truth.size - positives))


def patch_detector(*, patch_means: int, separate_softmax: bool = False):
    """A model to which bright patches of 5 x 5 pixels mean class `patch_means`, and everything else the other."""
    layers = keras.layers
    image = keras.Input((None, None, 3))
    bright = layers.Conv2D(1, 5, padding="same", activation="relu", name="bright")(image)
    pooled = layers.GlobalAveragePooling2D()(bright)
    if separate_softmax:
        output = layers.Activation("softmax")(layers.Dense(2, name="head")(pooled))
    else:
        output = layers.Dense(2, activation="softmax", name="head")(pooled)
    model = keras.Model(image, output)
    model.get_layer("bright").set_weights([np.full((5, 5, 3, 1), 1 / 75), np.array([-0.6])])
    sign = 1 if patch_means == 0 else -1
    model.get_layer("head").set_weights([np.array([[300.0, -300.0]]) * sign, np.array([-1.0, 1.0]) * sign])
    return model
