"""Runs that the server takes for active although no process works on them: ended, recorded, and their slot freed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import (
    AwaitingRetry,
    Cancelling,
    Crashed,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    exception_to_crashed_state,
)

from artdetect import alerts
from artdetect.artifacts import active_runs, run_ledger
from flows.ingest import ingest
from flows.watchdog import watchdog
from tasks.engine import cancellation, orphaned_runs, run_record
from tests import PROJECT

from .conftest import artifacts, events, task_states

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

LATER = datetime.now(UTC) + timedelta(days=1)
TRAINS = {"train": ("Running", "RUNNING")}
KILLED = """
import time
import flows
from prefect import flow, task
from tasks.engine.run_record import recorded

@task(task_run_name="train")
def train():
    time.sleep(600)

@flow(name="pipeline", flow_run_name="to be killed")
def pipeline():
    with recorded():
        train()

pipeline()
"""


def submitted(client: SyncPrefectClient, deployment: Any) -> "FlowRun":
    """A new run that a worker has begun to submit, or that waits for a slot."""
    run = client.create_flow_run_from_deployment(deployment)
    client.set_flow_run_state(run.id, Pending(name="Submitting"))
    return client.read_flow_run(run.id)


def test_a_run_that_was_being_submitted_frees_its_deployment(client: SyncPrefectClient, deployment: Any) -> None:
    stuck, waiting = submitted(client, deployment), submitted(client, deployment)
    assert [run.state and run.state.name for run in (stuck, waiting)] == ["Submitting", "AwaitingConcurrencySlot"]
    assert orphaned_runs.end().runs == []  # a worker may be about to start it
    (ended,) = orphaned_runs.end(timedelta()).runs
    state = client.read_flow_run(stuck.id).state
    assert state is not None
    assert ended == f"ingest {stuck.name}: Crashed, {state.message}"
    assert "start it again" in str(state.message)
    assert [(run.id, run.flow, run.state, run.error) for run in run_ledger.read()] == [
        (str(stuck.id), "ingest", "crashed", state.message)
    ]
    next_state = submitted(client, deployment).state
    assert next_state is not None
    assert next_state.name == "Submitting"


@pytest.mark.parametrize(
    "state",
    [Scheduled(), AwaitingRetry(), Pending(), Running(), Paused(pause_expiration_time=LATER), Cancelling(), Crashed()],
    ids=lambda state: state.name,
)
def test_in_whatever_state_the_services_stopped_a_run_the_next_one_starts(
    client: SyncPrefectClient, deployment: Any, state: State
) -> None:
    """No worker runs, so whatever had a slot is nobody's."""
    run = submitted(client, deployment)
    client.set_flow_run_state(run.id, state, force=True)
    orphaned_runs.end(timedelta())
    next_state = submitted(client, deployment).state
    assert next_state is not None
    assert next_state.name == "Submitting"


def test_a_slot_that_the_server_lost_count_of_is_freed(client: SyncPrefectClient, deployment: Any) -> None:
    """It had been restarted between the run's start and its end."""
    limit = client.read_deployment(deployment).global_concurrency_limit
    assert limit is not None
    client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(active_slots=1))
    (freed,) = orphaned_runs.end().slots
    assert freed == client.read_deployment(deployment).name
    assert orphaned_runs.end().slots == []
    state = submitted(client, deployment).state
    assert state is not None
    assert state.name == "Submitting"


@contextmanager
def in_training(server: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A process whose run is in its task; it is gone after the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=PROJECT, env=os.environ | {"PREFECT_API_URL": server}
    )
    try:
        while not active_runs.running():
            assert process.poll() is None
            time.sleep(0.1)
        (running,) = active_runs.running()
        assert task_states(running.id, TRAINS) == TRAINS
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_the_watchdog_ends_a_killed_run_and_its_tasks(client: SyncPrefectClient, server: str, roots: Path) -> None:
    with in_training(server):
        pass
    assert run_ledger.read() == []
    state = watchdog(return_state=True)
    (crashed, watched) = run_ledger.read()
    assert state.result() == [f"ended pipeline to be killed: Crashed, {crashed.error}"]
    assert [(run.flow, run.state) for run in (crashed, watched)] == [("pipeline", "crashed"), ("watchdog", "completed")]
    run = client.read_flow_run(crashed.id)
    assert run.state is not None
    assert (run.state.name, run.state.message) == ("Crashed", crashed.error)
    assert 'artdetect_runs{flow="pipeline",state="crashed"} 1.0' in (roots / "artifacts" / "metrics.prom").read_text()

    assert task_states(crashed.id, TRAINS) == TRAINS
    assert orphaned_runs.end(timedelta()).tasks >= 1
    assert task_states(crashed.id, {"train": ("Crashed", "CRASHED")}) == {"train": ("Crashed", "CRASHED")}
    assert artifacts(crashed.id) == []


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL], ids=lambda stop: stop.name)
def test_a_cancelled_run_has_not_failed(
    client: SyncPrefectClient, server: str, roots: Path, stop: signal.Signals
) -> None:
    """A worker stops its process with SIGTERM and, if it goes on, SIGKILL."""
    with in_training(server) as process:
        (running,) = active_runs.running()
        client.set_flow_run_state(running.id, Cancelling(), force=True)
        process.send_signal(stop)
        process.wait()
        assert [run.state for run in run_ledger.read()] == ([] if stop == signal.SIGKILL else ["cancelled"])
    watchdog()
    (cancelled, _) = run_ledger.read()
    assert (cancelled.id, cancelled.state, cancelled.error) == (running.id, "cancelled", "it was cancelled")
    metrics = (roots / "artifacts" / "metrics.prom").read_text()
    assert 'artdetect_runs{flow="pipeline",state="cancelled"} 1.0' in metrics
    assert 'artdetect_run_last_failure_timestamp_seconds{flow="pipeline"}' not in metrics
    assert alerts.of_runs(run_ledger.read()) == []
    run_record.emit_failure("the next event", "pipeline", "failed", "so that the one before had time to arrive")
    assert len(events(alerts.FAILED, "the next event")) == 1
    assert events(alerts.FAILED, running.id, expected=0) == []

    orphaned_runs.end(timedelta())
    assert task_states(running.id, {})["train"][1] in ("CRASHED", "CANCELLED")


def test_a_run_that_is_cancelled_before_its_code_runs_has_not_failed(
    client: SyncPrefectClient, deployment: Any
) -> None:
    """Its process is killed at once: what records it is the hook in the worker, or the watchdog."""
    ids = []
    for by_hook in (True, False):
        run = submitted(client, deployment)
        ids.append(str(run.id))
        client.set_flow_run_state(run.id, Cancelling(), force=True)
        if by_hook:
            run_record.record_cancellation(ingest, client.read_flow_run(run.id), Cancelling())
            client.set_flow_run_state(run.id, Crashed(message="Process exited with status code: -15."), force=True)
            run_record.advise(ingest, client.read_flow_run(run.id), Crashed())  # the worker sees its end, too
        else:
            (ended,) = orphaned_runs.end(timedelta()).runs
            assert ended == f"ingest {run.name}: Cancelled, Its process is gone"
    assert [(run.id, run.flow, run.state) for run in run_ledger.read()] == [(id_, "ingest", "cancelled") for id_ in ids]


def test_a_run_that_ctrl_c_ended_before_its_code_ran_is_cancelled(client: SyncPrefectClient, deployment: Any) -> None:
    run = submitted(client, deployment)
    state = asyncio.run(exception_to_crashed_state(KeyboardInterrupt()))
    client.set_flow_run_state(run.id, state, force=True)
    run_record.advise(ingest, client.read_flow_run(run.id), state)
    ended = client.read_flow_run(run.id).state
    assert ended is not None
    assert ended.is_cancelled()
    assert [(one.id, one.state) for one in run_ledger.read()] == [(str(run.id), "cancelled")]
    assert artifacts(run.id) == []
    assert alerts.of_runs(run_ledger.read()) == []


def test_a_run_that_crashed_after_its_repetition_began_has_failed(client: SyncPrefectClient, deployment: Any) -> None:
    run = submitted(client, deployment)
    for state in (Running(), Cancelling(), Crashed()):
        client.set_flow_run_state(run.id, state, force=True)
    assert cancellation.was_cancelled(str(run.id))
    for state in (Scheduled(), Pending(), Running(), Crashed()):
        client.set_flow_run_state(run.id, state, force=True)
    assert not cancellation.was_cancelled(str(run.id))


def test_whether_a_run_was_cancelled_is_unknown_without_an_answer(server: str) -> None:
    assert not cancellation.was_cancelled(str(uuid4()))
    assert not cancellation.was_cancelled("artdetect-ingest")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert not cancellation.was_cancelled(str(uuid4()))
