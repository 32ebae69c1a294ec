"""index as a task, and the look at the folder before it: only files that are new or changed are read."""

from pathlib import Path

from artdetect import download
from artdetect import index as library
from artdetect.artifacts.store import Artifact
from artdetect.index import scan as look
from artdetect.index.config import IndexConfig
from artdetect.index.scan import DataSetState
from tasks.engine.caching import stage
from tasks.engine.progress import Progress


def scan(raw: Artifact, config: IndexConfig) -> DataSetState:
    """The state of the pictures now; its digest is what the index depends on."""
    with Progress("scan") as progress:
        return look.scan(
            download.folder(raw.folder),
            lambda done, total: progress.log(done, total, "reading new pictures"),
            config.incoming,
        )


@stage
def index(config: IndexConfig, pictures: DataSetState, out: Path) -> None:
    """One row a picture: what its folder says of it and what its file is."""
    library.run(config, pictures, out)
