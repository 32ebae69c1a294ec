"""From logits to calibrated probabilities: as a function, and as the last layers of every model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np


TEMPERATURE = "temperature"  # the name of the layer that divides logits


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities: p(AI) = p_min + (p_max - p_min) * sigmoid(logit / temperature).

    The bounds are the smallest and the largest probability that the evidence supports: among the pictures with the
    largest logits, too, some are human-made.
    """

    temperature: float
    p_min: float = 0.0
    p_max: float = 1.0

    def __call__(self, logits: "np.ndarray") -> "np.ndarray":
        """p(AI), float64 with the shape of `logits`."""
        import numpy as np
        from scipy.special import expit

        return self.p_min + (self.p_max - self.p_min) * expit(np.asarray(logits, np.float64) / self.temperature)


def probabilities(logits: "keras.KerasTensor", calibration: Calibration) -> "keras.KerasTensor":
    """Logits [N, 2], AI first -> calibrated probabilities, float32 [N, 2]."""
    from keras import layers

    divided = layers.Rescaling(1 / calibration.temperature, name=TEMPERATURE)(logits)
    shares = layers.Softmax(name="softmax", dtype="float32")(divided)
    bounds = [calibration.p_min, 1 - calibration.p_max]
    bounded = layers.Rescaling(calibration.p_max - calibration.p_min, bounds, name="probabilities", dtype="float32")
    return bounded(shares)
