"""download as a task, with retries: the one stage whose faults may pass by themselves."""

from pathlib import Path

from artdetect import download as library
from artdetect.download.config import DownloadConfig
from tasks.engine.caching import stage
from tasks.engine.progress import Progress


@stage
def download(config: DownloadConfig, out: Path) -> None:
    """The data set as a folder of pictures."""
    with Progress("download") as progress:
        library.run(config, out, progress.log)
