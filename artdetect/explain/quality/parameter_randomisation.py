"""The control of a sanity check: the same method on a model that has lost everything it learned.

Source: Adebayo et al. 2018, arXiv 1810.03292.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from artdetect.explain.methods.explainer import Explainer

if TYPE_CHECKING:
    import keras


def randomised_model(model: keras.Model, seed: int) -> keras.Model:
    """A copy of `model` in which the numbers of each weight array are shuffled; `model` does not change."""
    import keras

    draw = np.random.default_rng([seed, 1])
    copy = keras.models.clone_model(model)
    copy.set_weights([draw.permutation(weight.ravel()).reshape(weight.shape) for weight in model.get_weights()])
    return copy


def rebuilt_for(explainer: Explainer, model: keras.Model) -> Explainer:
    """The same method with the same settings for another model.

    Raises:
        TypeError: The maps depend on something that is not in `explainer.settings`.
    """
    kind = type(explainer)
    rebuilt = kind(model, **explainer.options, **vars(explainer.settings))
    if rebuilt.config != explainer.config:
        raise TypeError(
            f"{kind.__name__} must keep its settings in `settings`, to be made again. "
            f"Received: {explainer.config}, made {rebuilt.config}"
        )
    return rebuilt
