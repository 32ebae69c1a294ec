"""The control of a sanity check: the same method on a model that has unlearnt everything.

Source: Adebayo et al. 2018, arXiv 1810.03292.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from typing import TYPE_CHECKING

import numpy as np

from artdetect.explain.methods.explainer import Explainer

if TYPE_CHECKING:
    import keras


def randomised_model(model: keras.Model, seed: int) -> keras.Model:
    """A copy of `model` in which the numbers of each weight array are shuffled; `model` stays as it is."""
    import keras

    draw = np.random.default_rng([seed, 1])
    copy = keras.models.clone_model(model)
    copy.set_weights([draw.permutation(weight.ravel()).reshape(weight.shape) for weight in model.get_weights()])
    return copy


def rebuilt_for(explainer: Explainer, model: keras.Model) -> Explainer:
    """The same method with the same settings for another model. TypeError where it does not keep its settings."""
    kind = type(explainer)
    holders = [getattr(explainer, "settings", None), explainer, explainer.score]
    found = {name: [getattr(one, name) for one in holders if hasattr(one, name)] for name in _settings(kind)}
    made = kind(model, **{name: values[0] for name, values in found.items() if values})
    if made.config != explainer.config:
        raise TypeError(
            f"{kind.__name__} must keep its settings as attributes, or in `settings`, to be made again. "
            f"Received: {explainer.config}, made {made.config}"
        )
    return made


def _settings(kind: type[Explainer]) -> Iterator[str]:
    """The names of what `kind` may be made with, besides the model."""
    for one in kind.__mro__:
        if "__init__" in vars(one):
            parameters = signature(one.__init__).parameters.values()  # type: ignore[misc]
            yield from (parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
                return
