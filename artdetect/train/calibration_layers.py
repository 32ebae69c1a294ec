"""The last layers of every model: from logits to calibrated probabilities."""

from typing import TYPE_CHECKING

from artdetect.train.calibration import Calibration

if TYPE_CHECKING:
    import keras


def probabilities(logits: "keras.KerasTensor", calibration: Calibration) -> "keras.KerasTensor":
    """Logits [N, 2], AI first -> calibrated probabilities, float32 [N, 2]."""
    from keras import layers

    divided = layers.Rescaling(1 / calibration.temperature, name="temperature")(logits)
    shares = layers.Softmax(name="softmax", dtype="float32")(divided)
    bounds = [calibration.p_min, 1 - calibration.p_max]
    bounded = layers.Rescaling(calibration.p_max - calibration.p_min, bounds, name="probabilities", dtype="float32")
    return bounded(shares)
