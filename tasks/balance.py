"""The balance stage as a task."""

from pathlib import Path

from artdetect import balance as library
from artdetect.artifacts.store import Artifact
from artdetect.balance import BalanceConfig
from tasks.engine.caching import stage


@stage
def balance(config: BalanceConfig, index: Artifact, audit: Artifact, out: Path) -> None:
    """Assign the pictures to train, validation and test."""
    library.run(config, index.folder, audit.folder, out)
