"""evaluate as a task."""

from pathlib import Path

from artdetect import download
from artdetect import evaluate as library
from artdetect.evaluate import EvaluateConfig
from artdetect.store import Artifact
from tasks.caching import stage
from tasks.progress import Progress


@stage
def evaluate(
    config: EvaluateConfig, index: Artifact, balance: Artifact, train: Artifact, raw: Artifact, out: Path
) -> None:
    """The test set, once: predictions, metrics with intervals, baselines, robustness and the worst mistakes."""
    folders = index.folder, balance.folder, train.folder, download.folder(raw.folder)
    with Progress("evaluate") as progress:
        library.run(config, *folders, out, progress.log)
