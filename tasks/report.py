"""The report stage as a Prefect task."""

from pathlib import Path

from artdetect import report as library
from artdetect.artifacts.store import Artifact
from artdetect.report.config import ReportConfig
from tasks.engine.caching import stage


@stage
def report(
    config: ReportConfig,
    index: Artifact,
    audit: Artifact,
    balance: Artifact,
    train: Artifact,
    evaluate: Artifact,
    explain: Artifact,
    out: Path,
) -> None:
    """Build the HTML report and the model card."""
    library.run(
        config,
        {
            "index": index.folder,
            "audit": audit.folder,
            "balance": balance.folder,
            "train": train.folder,
            "evaluate": evaluate.folder,
            "explain": explain.folder,
        },
        out,
    )
