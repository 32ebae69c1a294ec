"""Compares the outputs of two implementations of one model, such as a Keras model and its export.

Probabilities are compared as logits. Noise of features becomes noise of logits in proportion to the head's slope, so it
is the same share of the range of logits for every head; a steep head turns it into any difference of probabilities.
"""

from collections.abc import Callable, Mapping

import numpy as np

from artdetect.core.errors import ModelError
from artdetect.model.decision import logit

Outputs = Callable[[np.ndarray], Mapping[str, np.ndarray]]  # pictures float32 [N, size, size, 3] -> outputs by name

TOLERANCE = 3e-4  # largest difference of an output, as a share of its range
_SATURATED = 1e-5  # a probability closer to 0 or 1 has too few digits for a logit


def differences(expected: Outputs, received: Outputs, size: int) -> dict[str, float]:
    """The largest difference of each output as a share of its range, or of 1 if that is larger.

    It is infinite where an output is not finite, of another shape, or none of the model's.

    Args:
        expected: The model.
        received: The other implementation. It may lack outputs.
        size: Side of the pictures, in pixels.
    """
    pictures = _pictures(size)
    wanted, found = expected(pictures), received(pictures)
    names = sorted(found, key=lambda name: (name != "probabilities", name))  # the first to be named in an error
    return {name: _difference(name, wanted.get(name), found[name]) for name in names}


def require_same(differences: Mapping[str, float], format: str) -> None:
    """Raise ModelError if a difference is more than rounding; `format` is what was compared."""
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            raise ModelError(
                f"the {format} export gives other outputs: {name} differs by {difference:.2g} of its range, more than "
                f"the {TOLERANCE:g} of rounding"
            )


def _difference(name: str, wanted: np.ndarray | None, found: np.ndarray) -> float:
    if wanted is None or wanted.shape != found.shape:
        return np.inf
    if name == "probabilities":
        if not np.isfinite(found).all():
            return np.inf
        wanted, found = (logit(np.clip(p, _SATURATED, 1 - _SATURATED)) for p in (wanted, found))
    spread = max(1.0, float(np.ptp(wanted)))
    return float(np.nan_to_num(np.abs(wanted - found).max() / spread, nan=np.inf))


def _pictures(size: int) -> np.ndarray:
    """Fixed pictures, float32 [5, size, size, 3] in [0, 1]: noise, black, white, and two gradients.

    Flat ones are the hardest: the standard deviation of constant activations is a root close to 0, which magnifies
    rounding.
    """
    noise = np.random.default_rng(0).random((size, size, 3), np.float32)
    gradient = np.zeros_like(noise) + np.linspace(0, 1, size, dtype=np.float32)[:, None]
    return np.stack([noise, np.zeros_like(noise), np.ones_like(noise), gradient, gradient.transpose(1, 0, 2)])
