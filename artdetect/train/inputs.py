"""What every preset's training gets."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core.progress import Progress
from artdetect.train.config import TrainConfig
from artdetect.train.training_loop import EpochCallback

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrainingInputs:
    """The settings and pictures of one training.

    Args:
        config: Section `train`.
        train: The training rows of the balanced table, with the column `file` for the path of each picture.
        validation: The validation rows, likewise.
        work: Folder for the state between epochs.
        on_epoch: Called with (row, epochs) after each epoch.
        progress: Called with (done, all, label) while pictures are decoded and features computed.
    """

    config: TrainConfig
    train: "pd.DataFrame"
    validation: "pd.DataFrame"
    work: Path
    on_epoch: EpochCallback | None = None
    progress: Progress | None = None
