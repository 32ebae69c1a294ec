"""The task of the stage evaluate."""

from pathlib import Path

from artdetect import download
from artdetect import evaluate as library
from artdetect.artifacts.store import Artifact
from artdetect.evaluate.config import EvaluateConfig
from tasks.engine.caching import stage
from tasks.engine.progress import ProgressDisplay


@stage
def evaluate(
    config: EvaluateConfig,
    index: Artifact,
    audit: Artifact,
    balance: Artifact,
    train: Artifact,
    raw: Artifact,
    out: Path,
) -> None:
    """Score the test set once: predictions, metrics with intervals, baselines, robustness and the worst errors."""
    folders = index.folder, audit.folder, balance.folder, train.folder, download.folder(raw.folder)
    with ProgressDisplay("evaluate") as progress:
        library.run(config, *folders, out, progress.log)
