"""The run ledger: its order, damaged files, and refreshed runs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from artdetect.artifacts import run_ledger, store
from artdetect.artifacts.run_ledger import Run, StageRecord
from artdetect.artifacts.store import Artifact
from artdetect.core.errors import ArtifactError


@pytest.fixture(autouse=True)
def ledger(roots: Path) -> Path:
    return roots / "artifacts" / "runs"


def run(name: str, hour: int = 0, **more: object) -> Run:
    began = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(hours=hour)
    use = StageRecord(stage="train", key="k1", ran=True, why="never built", seconds=2.5)
    values = {"state": "completed", "stages": [use], "ended": (began + timedelta(minutes=90)).isoformat()} | more
    return Run(id=name, flow="pipeline", name="blue-cat", began=began.isoformat(), **values)


def artifact(key: str) -> Artifact:
    with store.build("audit", key, {}) as out:
        (out / "audit.json").write_text(key)
    return store.load("audit", key)


def test_a_run_is_read_as_it_was_written_oldest_first(ledger: Path) -> None:
    later, failed = run("a", 5, facts={"n": [1]}), run("b", 2, state="failed", error="ModelError: no model")
    for one in (later, failed):
        run_ledger.write(one)
    assert run_ledger.read() == run_ledger.read_all() == [failed, later]
    assert later.seconds == 5400
    assert (ledger / "20260501T063000000000Z-a.json").stat().st_mode & 0o777 == 0o644
    assert len(list(ledger.iterdir())) == 2


def test_a_run_that_is_written_again_replaces_itself() -> None:
    run_ledger.write(run("a", 1))
    run_ledger.write(run("b", 2))
    run_ledger.write(run("a", 3))
    assert [(one.id, one.began[11:13]) for one in run_ledger.read()] == [("b", "02"), ("a", "03")]


def test_times_in_different_zones_are_sorted_by_the_moment() -> None:
    run_ledger.write(run("a", ended="2026-05-01T03:00:00+02:00"))
    run_ledger.write(run("b", ended="2026-05-01T02:00:00+00:00"))
    assert [one.id for one in run_ledger.read()] == ["a", "b"]


def test_the_latest_of_a_flow_is_the_one_that_ended_last() -> None:
    first, second, other = (
        run("a", 1, used="2026-05-02T00:00:00+00:00"),
        run("b", 2),
        run("c").model_copy(update={"flow": "tune"}),
    )
    assert run_ledger.latest([second, other, first]) == {"pipeline": second, "tune": other}


def test_a_damaged_file_is_skipped_or_named(ledger: Path) -> None:
    run_ledger.write(run("a"))
    (ledger / "20260501T000000000000Z-x.json").write_text('{"id": "x", ')
    assert [one.id for one in run_ledger.read()] == ["a"]
    with pytest.raises(ArtifactError, match=r"Z-x\.json: not a file of the run ledger"):
        run_ledger.read_all()


def test_an_id_is_a_file_name() -> None:
    with pytest.raises(ValidationError):
        run("../a")


def test_a_run_whose_artifacts_are_found_current_is_refreshed_and_keeps_its_duration() -> None:
    one, other = artifact("k1"), artifact("k2")
    run_ledger.refresh([one])
    (first,) = run_ledger.read()
    assert (first.state, first.flow, first.artifacts) == ("completed", "pipeline", {("audit", "k1")})
    run_ledger.refresh([other])
    run_ledger.refresh([one])
    found = run_ledger.read()
    assert [made.artifacts for made in found] == [{("audit", "k2")}, {("audit", "k1")}]
    assert (found[1].id, found[1].ended) == (first.id, first.ended)
    assert found[1].last > first.last


def test_a_failed_run_is_never_refreshed() -> None:
    made = artifact("k1")
    use = StageRecord(stage="audit", key="k1", ran=True, why="", seconds=1)
    run_ledger.write(run("a", state="failed", stages=[use]))
    run_ledger.refresh([made])
    assert [one.state for one in run_ledger.read()] == ["failed", "completed"]


def test_a_ledger_that_cannot_be_written_is_no_error(ledger: Path) -> None:
    made = artifact("k1")
    ledger.write_text("a file where the folder should be")
    run_ledger.refresh([made])
    assert ledger.is_file()


def test_runs_of_the_future_are_no_recent_ones_and_the_clock_is_named(ledger: Path) -> None:
    """The clock was set back: what finds nothing to do takes one place all the same."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    ends = [(tomorrow + timedelta(minutes=number)).isoformat() for number in range(run_ledger.MAX_READ + 1)]
    for number, ended in enumerate(ends):
        run_ledger.write(run(f"future{number}", ended=ended))
    for number in range(3):
        run_ledger.write(run(f"i{number}", ended=run_ledger.now(), idle=True))
    run_ledger.refresh([artifact("k1")])
    run_ledger.refresh([artifact("k1")])
    assert [one.id for one in run_ledger.read() if not one.id.startswith("future")][:-1] == ["i2"]
    assert len(list(ledger.iterdir())) == run_ledger.MAX_READ + 3
    problem = run_ledger.clock_problem(run_ledger.read())
    assert problem is not None
    assert f"pipeline blue-cat ended at {ends[-1][:16]} (UTC)" in problem
    assert run_ledger.clock_problem([run("a")]) is run_ledger.clock_problem([]) is None
