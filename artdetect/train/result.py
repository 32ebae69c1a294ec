"""What every preset's training comes back with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.pictures.images import Geometry
from artdetect.train.calibration import ValidationPredictions

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class TrainingResult:
    """A trained net, not calibrated yet."""

    model: "Callable[[float], keras.Model]"  # given the temperature, the model as `Detector` takes it
    geometry: Geometry
    validation: ValidationPredictions
    metrics: dict[str, Any]  # for metrics.json
    families: tuple[str, ...] = ()
    write: Callable[[Path], None] = field(default=lambda out: None)  # further files, into the artifact's folder
