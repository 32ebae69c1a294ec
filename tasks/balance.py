"""balance as a task."""

from pathlib import Path

from artdetect import balance as library
from artdetect.balance import BalanceConfig
from artdetect.store import Artifact
from tasks.caching import stage


@stage
def balance(config: BalanceConfig, index: Artifact, audit: Artifact, out: Path) -> None:
    """Which pictures train, which validate, which test."""
    library.run(config, index.folder, audit.folder, out)
