"""The download stage as a task. Retries are in `artdetect.download.fetch`, which resumes a broken transfer."""

from pathlib import Path

from artdetect import download as library
from artdetect.download.config import DownloadConfig
from tasks.engine.caching import stage
from tasks.engine.progress import ProgressDisplay


@stage
def download(config: DownloadConfig, out: Path) -> None:
    """Make the data set available as a folder of pictures."""
    with ProgressDisplay("download") as progress:
        library.run(config, out, progress.log)
