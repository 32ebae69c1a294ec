"""The audit stage as a task, and how a flow reports and enforces its findings."""

from pathlib import Path

from prefect.logging import get_run_logger

from artdetect import audit as library
from artdetect import download
from artdetect.artifacts.store import Artifact
from artdetect.audit.config import AuditConfig
from tasks.engine.caching import stage
from tasks.engine.dashboard import publish_audit


@stage
def audit(config: AuditConfig, index: Artifact, raw: Artifact, out: Path) -> None:
    """Audit the data set before training."""
    library.run(config, index.folder, download.folder(raw.folder), out)


def show_and_enforce(audited: Artifact) -> None:
    """Show the findings on the dashboard, warn of those that fired, and stop the run if a rule demands it.

    It is not part of the task, so that a cached audit warns and stops like a new one.

    Raises:
        AuditFailed: The rule of a finding that fired is "stop".
    """
    publish_audit(audited.folder)
    for finding in library.triggered(audited.folder):
        get_run_logger().warning("audit: %s: %s", finding["name"], finding["sentence"])
    library.check(audited.folder)
