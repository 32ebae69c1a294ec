"""train as a task; every epoch shows in the log and as a progress artifact."""

from pathlib import Path

from prefect.logging import get_run_logger

from artdetect import download
from artdetect import train as library
from artdetect.artifacts.store import Artifact
from artdetect.train.config import TrainConfig
from artdetect.train.training_loop import Row
from tasks.engine.caching import stage
from tasks.engine.progress import Progress


@stage
def train(config: TrainConfig, balance: Artifact, raw: Artifact, out: Path, work: Path) -> None:
    """A model from the balanced pictures, chosen and calibrated on validation, resumed where a kill cut it off."""
    log = get_run_logger()

    def report(row: Row, epochs: int) -> None:
        log.info(
            "train: epoch %d of %d, loss %.4f, accuracy %.3f, validation loss %.4f, accuracy %.3f",
            row["epoch"], epochs, row["loss"], row["accuracy"], row["val_loss"], row["val_accuracy"],
        )  # fmt: skip
        epochs_done.show(row["epoch"], epochs, "epochs")

    with Progress("features") as seen, Progress("train", every=0) as epochs_done:
        library.run(config, balance.folder, download.folder(raw.folder), out, work, report, seen.log)
