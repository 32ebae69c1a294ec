"""Runs that the server takes for active although no process works on them: ended, recorded, and their slot freed."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate, WorkPoolCreate
from prefect.states import AwaitingRetry, Cancelling, Crashed, Paused, Pending, Running, Scheduled, State

from artdetect import services
from artdetect.artifacts import active_runs, run_ledger
from flows.watchdog import watchdog
from tasks.engine import orphaned_runs
from tests import PROJECT

from .conftest import artifacts, task_states

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


@pytest.fixture
def client(server: str, roots: Path) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def deployment(client: SyncPrefectClient) -> Any:
    """A deployment of which one run may be active, as in prefect.yaml."""
    client.create_work_pool(WorkPoolCreate(name=services.POOL, type="process"), overwrite=True)
    flow = client.create_flow_from_name("ingest")
    made = client.create_deployment(flow, f"watch-{uuid4()}", concurrency_limit=1, work_pool_name=services.POOL)
    yield made
    client.delete_deployment(made)


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


def test_the_watchdog_ends_a_killed_run_and_its_tasks(client: SyncPrefectClient, server: str, roots: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=PROJECT, env=os.environ | {"PREFECT_API_URL": server}
    )
    try:
        while not active_runs.running():
            assert process.poll() is None
            time.sleep(0.1)
        (running,) = active_runs.running()
        assert task_states(running.id, TRAINS) == TRAINS
    finally:
        process.kill()
        process.wait()
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
