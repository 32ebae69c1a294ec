"""train as a task. Every epoch appears in the log and in a progress artifact."""

from pathlib import Path

from prefect.logging import get_run_logger

from artdetect import download
from artdetect import train as library
from artdetect.artifacts.store import Artifact
from artdetect.train.config import TrainConfig
from artdetect.train.training_loop import HistoryRow
from tasks.engine.caching import stage
from tasks.engine.progress import ProgressDisplay


@stage
def train(config: TrainConfig, balance: Artifact, raw: Artifact, out: Path, work: Path) -> None:
    """Train a model on the balanced pictures, calibrated on validation pictures. A killed training continues."""
    log = get_run_logger()

    def on_epoch(row: HistoryRow, epochs: int) -> None:
        log.info(
            "train: epoch %d of %d, loss %.4f, accuracy %.3f, validation loss %.4f, accuracy %.3f",
            row["epoch"], epochs, row["loss"], row["accuracy"], row["val_loss"], row["val_accuracy"],
        )  # fmt: skip
        epochs_shown.show(row["epoch"], epochs, "epochs")

    with ProgressDisplay("features") as features, ProgressDisplay("train", every=0) as epochs_shown:
        library.run(config, balance.folder, download.folder(raw.folder), out, work, on_epoch, features.log)
