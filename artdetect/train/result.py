"""What every preset's training returns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.pictures.images import Geometry
from artdetect.train.calibration import Calibration, HeldOutPredictions

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class TrainingResult:
    """A trained model before calibration.

    Args:
        build_model: Makes the model, as `Detector` takes it, for a calibration.
        geometry: How pictures become canonical before the model sees them.
        held_out: Predictions to calibrate on.
        metrics: Entries for metrics.json.
        families: The generator families of the output `generators`.
        write_files: Writes further files into the artifact's folder.
        native_crops: Crops of large pictures that the model judges beside the whole, see `Detector`.
    """

    build_model: "Callable[[Calibration], keras.Model]"
    geometry: Geometry
    held_out: HeldOutPredictions
    metrics: dict[str, Any]
    families: tuple[str, ...] = ()
    write_files: Callable[[Path], None] = field(default=lambda out: None)
    native_crops: int = 0
