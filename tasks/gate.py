"""The task of the stage gate."""

from pathlib import Path

from artdetect import download
from artdetect import gate as library
from artdetect.artifacts.store import Artifact
from artdetect.gate import Candidate
from artdetect.gate.config import GateConfig
from artdetect.gate.golden import GoldenSet
from tasks.engine.caching import stage


@stage
def gate(
    config: GateConfig,
    index: Artifact,
    audit: Artifact,
    balance: Artifact,
    challenger: Artifact,
    challenger_scores: Artifact,
    champion: Artifact | None,
    champion_scores: Artifact | None,
    champion_balance: Artifact | None,
    reference: Artifact | None,
    reference_scores: Artifact | None,
    reference_balance: Artifact | None,
    golden: GoldenSet,
    raw: Artifact,
    out: Path,
) -> None:
    """Decide whether the challenger may replace the champion.

    Each artifact is an argument of its own, because the cache key is made of their digests, by name.
    """
    library.run(
        config,
        index.folder,
        audit.folder,
        balance.folder,
        _candidate(champion, champion_scores, champion_balance),
        Candidate(challenger.folder, challenger_scores.folder, balance.folder),
        golden.folder,
        download.folder(raw.folder),
        out,
        _candidate(reference, reference_scores, reference_balance),
    )


def _candidate(model: Artifact | None, scores: Artifact | None, balance: Artifact | None) -> Candidate | None:
    if model is None or scores is None:
        return None
    return Candidate(model.folder, scores.folder, balance.folder if balance else None)
