"""The index stage as a task, and the scan before it, which reads only new and changed files."""

from pathlib import Path

from artdetect import download
from artdetect import index as library
from artdetect.artifacts.store import Artifact
from artdetect.index import scan as scanning
from artdetect.index.config import IndexConfig
from artdetect.index.scan import DataSetState
from tasks.engine.caching import stage
from tasks.engine.progress import ProgressDisplay


def scan(raw: Artifact, config: IndexConfig) -> DataSetState:
    """The current state of the pictures. The index depends on its digest."""
    with ProgressDisplay("scan") as progress:
        return scanning.scan(
            download.folder(raw.folder),
            lambda done, total: progress.log(done, total, "reading new pictures"),
            config.incoming,
            download.tables(raw.folder),
        )


@stage
def index(config: IndexConfig, pictures: DataSetState, out: Path) -> None:
    """Write the index: one row per picture."""
    library.run(config, pictures, out)
