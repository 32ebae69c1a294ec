"""evaluate as a task."""

from pathlib import Path

from artdetect import download
from artdetect import evaluate as library
from artdetect.evaluate import EvaluateConfig
from artdetect.store import Artifact
from tasks.caching import stage
from tasks.progress import Progress


@stage
def evaluate(config: EvaluateConfig, balance: Artifact, train: Artifact, raw: Artifact, out: Path) -> None:
    """The test set, once: predictions, and metrics with intervals."""
    with Progress("evaluate") as progress:
        library.run(
            config,
            balance.folder,
            train.folder,
            download.folder(raw.folder),
            out,
            lambda done, total: progress.log(done, total, "decoding pictures"),
        )
