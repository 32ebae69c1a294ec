"""explain as a task."""

from pathlib import Path

from artdetect import download
from artdetect import explain as library
from artdetect.explain import ExplainConfig
from artdetect.store import Artifact
from tasks.caching import stage
from tasks.progress import Progress


@stage
def explain(config: ExplainConfig, train: Artifact, evaluate: Artifact, raw: Artifact, out: Path) -> None:
    """Which regions spoke for the verdict, for chosen test pictures."""
    with Progress("explain") as progress:
        library.run(
            config,
            train.folder,
            evaluate.folder,
            download.folder(raw.folder),
            out,
            lambda done, total: progress.log(done, total, "XRAI"),
        )
