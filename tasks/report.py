"""The report stage as a Prefect task."""

from pathlib import Path

from artdetect import download
from artdetect import report as library
from artdetect.artifacts import store
from artdetect.artifacts.store import Artifact
from artdetect.monitoring import reproduction
from artdetect.report import champion as champions
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
    champion: Artifact | None,
    champion_scores: Artifact | None,
    champion_balance: Artifact | None,
    champion_maps: Artifact | None,
    gate: Artifact | None,
    raw: Artifact,
    out: Path,
) -> None:
    """Build the HTML report and the model card.

    Each artifact is an argument of its own, because the cache key is made of their digests, by name.
    """
    made_from = {"index": index, "audit": audit, "balance": balance, "train": train, "evaluate": evaluate}
    made_from |= {"explain": explain}
    folders = {stage: artifact.folder for stage, artifact in made_from.items()}
    library.run(
        config,
        folders if gate is None else folders | {"gate": gate.folder},
        out,
        pictures=download.folder(raw.folder),
        other=champions.other(champion, champion_scores, champion_balance, champion_maps),
        origin=reproduction.origin(
            {stage: store.read(artifact.folder) for stage, artifact in made_from.items()},
            raw.folder,
            {"report": config},
        ),
    )
