"""What every preset's training returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.model.parts import Parts
from artdetect.pictures.images import Geometry
from artdetect.train.calibration import Calibration, HeldOutPredictions
from artdetect.train.out_of_source import OutOfSource

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class TrainingResult:
    """A trained model before calibration.

    Args:
        build_model: Makes the model, as `Detector` takes it, for a calibration.
        geometry: How pictures become canonical before the model sees them.
        held_out: Predictions to calibrate on.
        validation: Predictions for the validation pictures, whose sources the model knows.
        metrics: Entries for metrics.json.
        families: The generator families of the output `generators`.
        card: Further entries of the model's card.
        write_files: Writes further files into the artifact's folder.
        out_of_source: What pictures of held-out sources are called; None where no source was held out.
        native_crops: Crops of large pictures that the model judges beside the whole, see `Detector`.
        parts: How the model judges parts of a picture.
    """

    build_model: "Callable[[Calibration], keras.Model]"
    geometry: Geometry
    held_out: HeldOutPredictions
    validation: HeldOutPredictions
    metrics: dict[str, Any]
    families: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    write_files: Callable[[Path], None] = field(default=lambda out: None)
    out_of_source: OutOfSource | None = None
    native_crops: int = 0
    parts: Parts | None = None
