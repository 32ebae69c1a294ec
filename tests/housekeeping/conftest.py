"""Small artifacts and recorded runs for tests of garbage collection."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from artdetect.artifacts import run_ledger, store
from artdetect.artifacts.run_ledger import Run, StageRecord
from artdetect.housekeeping import HousekeepingConfig, inventory
from artdetect.housekeeping.garbage_collection import GcReport


@pytest.fixture(autouse=True)
def root(roots: Path) -> Path:
    return roots / "artifacts"


CHAIN = {"index": (), "balance": ("index",), "train": ("balance",), "evaluate": ("index", "balance", "train")}
KEEP_NO_RUNS = HousekeepingConfig(keep_last=0, keep_days=0)


def make(stage: str, key: str, text: str = "", **inputs: str) -> str:
    """Build an artifact from the artifacts with these keys; returns its key."""
    digests = {source: store.load(source, of).digest for source, of in inputs.items()}
    with store.build(stage, key, {"inputs": digests}) as out:
        (out / "out.txt").write_text(text or key)
    return key


def chain(name: str, **shared: str) -> dict[str, str]:
    """Build a chain of artifacts; `shared` are existing ones to use. Returns stage -> key."""
    keys: dict[str, str] = {}
    for stage, sources in CHAIN.items():
        keys[stage] = shared.get(stage) or make(
            stage, f"{name}_{stage}", **{source: keys[source] for source in sources}
        )
    return keys


def record_run(keys: dict[str, str], days_ago: float = 0, flow: str = "pipeline", **more: object) -> Run:
    """Record a run that used these artifacts."""
    time = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    uses = [StageRecord(stage=stage, key=key, ran=True, why="", seconds=1) for stage, key in keys.items()]
    run = Run(
        id=uuid4().hex, flow=flow, name="blue-cat", began=time, ended=time,
        **{"state": "completed", "stages": uses} | more,
    )  # fmt: skip
    run_ledger.write(run)
    return run


def existing() -> set[tuple[str, str]]:
    """(stage, key) of every artifact, after a check that each matches its record."""
    names = {(item.stage, item.key) for item in inventory.items()}
    assert {name: store.verify(*name) for name in names} == dict.fromkeys(names)
    return names


def names(*chains: dict[str, str]) -> set[tuple[str, str]]:
    return {name for keys in chains for name in keys.items()}


def reasons(report: GcReport) -> dict[str, str]:
    return {row.key: row.why for row in report.rows}
