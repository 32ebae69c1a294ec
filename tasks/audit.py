"""audit as a task."""

from pathlib import Path

from artdetect import audit as library
from artdetect.audit import AuditConfig
from artdetect.store import Artifact
from tasks.caching import stage


@stage
def audit(config: AuditConfig, index: Artifact, raw: Artifact, out: Path) -> None:
    """What a careful person would want to know before training."""
    library.run(config, index.folder, out)
