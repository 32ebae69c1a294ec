"""gate as a task."""

from pathlib import Path

from artdetect import gate as library
from artdetect.gate import GateConfig
from artdetect.gate.golden import Golden
from artdetect.store import Artifact
from tasks.caching import stage


@stage
def gate(
    config: GateConfig,
    index: Artifact,
    balance: Artifact,
    champion: Artifact | None,
    challenger: Artifact,
    champion_scores: Artifact | None,
    challenger_scores: Artifact,
    golden: Golden,
    out: Path,
) -> None:
    """May the challenger take the champion's place?"""
    library.run(
        config,
        index.folder,
        balance.folder,
        champion.folder if champion else None,
        challenger.folder,
        champion_scores.folder if champion_scores else None,
        challenger_scores.folder,
        golden.folder,
        out,
    )
