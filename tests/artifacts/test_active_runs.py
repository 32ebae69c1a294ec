"""Runs in progress, and those whose process died."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from artdetect.artifacts import active_runs, run_ledger
from artdetect.artifacts.active_runs import ActiveRun
from artdetect.artifacts.run_ledger import StageRecord
from artdetect.monitoring.recorded_run import recorded

USE = StageRecord(stage="train", key="k1", ran=True, why="never built", seconds=2.5)
KILLED = """
import os, signal
from artdetect.artifacts.active_runs import ActiveRun
from artdetect.artifacts.run_ledger import StageRecord
run = ActiveRun("killed", "pipeline", "blue-cat")
run.used(StageRecord(stage="train", key="k1", ran=True, why="never built", seconds=2.5))
os.kill(os.getpid(), signal.SIGKILL)
"""
ABORTED = """
import os, signal
from artdetect.artifacts.run_ledger import StageRecord
from artdetect.core import interrupts
from artdetect.monitoring.recorded_run import recorded
with interrupts.noticed(), recorded("killed", "pipeline", "blue-cat") as run:
    run.used(StageRecord(stage="train", key="k1", ran=True, why="never built", seconds=2.5))
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        os.abort()
"""


@pytest.fixture(autouse=True)
def ledger(roots: Path) -> Path:
    return roots / "artifacts" / "runs"


def kill_a_run(program: str = KILLED) -> None:
    assert subprocess.run([sys.executable, "-c", program]).returncode < 0


def test_a_killed_run_is_recorded_once_by_whoever_notices_with_what_it_used(ledger: Path) -> None:
    kill_a_run()
    assert run_ledger.read() == []
    (crashed,) = active_runs.record_crashed()
    assert run_ledger.read() == [crashed]
    assert (crashed.id, crashed.flow, crashed.state, crashed.stages) == ("killed", "pipeline", "crashed", [USE])
    assert "its process was killed" in str(crashed.error)
    assert active_runs.record_crashed() == []
    assert len(list(ledger.iterdir())) == 1


def test_a_killed_run_that_was_cancelled_is_on_record_as_that(ledger: Path) -> None:
    kill_a_run()
    (cancelled,) = active_runs.record_crashed({"killed": True}.__getitem__)
    assert run_ledger.read() == [cancelled]
    assert (cancelled.state, cancelled.error, cancelled.stages) == ("cancelled", "it was cancelled", [USE])


def test_a_run_that_dies_of_ctrl_c_is_on_record_as_cancelled(ledger: Path) -> None:
    """Native code that meets one may abort the process."""
    kill_a_run(ABORTED)
    (cancelled,) = active_runs.record_crashed()
    assert (cancelled.state, cancelled.error, cancelled.stages) == ("cancelled", "it was cancelled", [USE])


def test_a_run_in_progress_is_not_mistaken_for_a_killed_one(ledger: Path) -> None:
    kill_a_run()
    active_runs.record_crashed()
    with recorded("next", "pipeline", "red-cat") as run:
        assert [one.id for one in run_ledger.read()] == ["killed"]
        assert active_runs.is_running("next")
        run.used(USE)
        assert active_runs.record_crashed() == []
        assert [(one.id, one.stages) for one in active_runs.running()] == [("next", [USE])]
    assert not active_runs.is_running("next")
    assert [(one.id, one.state) for one in run_ledger.read()] == [("killed", "crashed"), ("next", "completed")]
    metrics = (ledger.parent / "metrics.prom").read_text()
    assert 'artdetect_runs{flow="pipeline",state="crashed"} 1.0' in metrics
    assert 'artdetect_run_last_failure_timestamp_seconds{flow="pipeline"}' in metrics


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (ValueError("no"), "failed", "ValueError: no"),
        (SystemExit(3), "crashed", "SystemExit: 3"),
        (KeyboardInterrupt(), "cancelled", "it was cancelled"),
    ],
)
def test_a_run_that_an_error_ends_is_on_record_and_in_the_metrics(
    ledger: Path, error: BaseException, state: str, said: str
) -> None:
    with pytest.raises(type(error)), recorded("a", "explain", "a"):
        raise error
    (run,) = run_ledger.read()
    assert (run.state, run.error) == (state, said)
    failed = 'artdetect_run_success{flow="explain"} 0.0' in (ledger.parent / "metrics.prom").read_text()
    assert failed == (state != "cancelled")


def test_a_line_that_was_cut_off_is_left_out(ledger: Path) -> None:
    kill_a_run()
    file = ledger / "killed.active"
    os.truncate(file, file.stat().st_size - 3)
    assert [run.stages for run in active_runs.record_crashed()] == [[]]


def test_a_run_killed_after_it_was_recorded_ended_as_it_says(ledger: Path) -> None:
    kill_a_run()
    content = (ledger / "killed.active").read_bytes()
    ActiveRun("killed", "pipeline", "blue-cat").end("completed")
    (ledger / "killed.active").write_bytes(content)
    assert active_runs.record_crashed() == []
    assert [run.state for run in run_ledger.read()] == ["completed"]
    assert not (ledger / "killed.active").exists()


def test_runs_that_find_nothing_to_do_take_one_place_per_flow() -> None:
    for number, flow in enumerate(("ingest", "retrain", "ingest", "ingest")):
        with recorded(f"r{number}", flow, flow) as run:
            run.idle = number != 2
    assert [run.id for run in run_ledger.read()] == ["r1", "r2", "r3"]
