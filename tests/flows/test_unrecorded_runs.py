"""Runs of which only Prefect's server knows that they failed: recorded once, with an event."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import LogCreate
from prefect.states import Cancelled, Completed, Crashed, Failed, State

from artdetect import alerts, services
from artdetect.artifacts import run_ledger
from artdetect.artifacts.active_runs import ActiveRun
from flows.watchdog import watchdog
from tasks.engine import unrecorded_runs

from .conftest import events

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

TRACEBACK = "Unexpected exception\nTraceback (most recent call last):\n\nSyntaxError: invalid syntax\n"
EXITED = "Process exited with status code: 1."


def ended(client: SyncPrefectClient, deployment: UUID, state: State) -> "FlowRun":
    run = client.create_flow_run_from_deployment(deployment)
    client.set_flow_run_state(run.id, state, force=True)
    return client.read_flow_run(run.id)


def test_the_watchdog_records_a_run_whose_flow_could_not_be_imported(
    client: SyncPrefectClient, deployment: Any, roots: Path
) -> None:
    run = ended(client, deployment, Crashed(message=EXITED))
    now = datetime.now(UTC)
    logs = [LogCreate(name="engine", level=40, message=TRACEBACK, timestamp=now, flow_run_id=run.id)]
    logs.append(LogCreate(name="engine", level=20, message="before", timestamp=now - timedelta(1), flow_run_id=run.id))
    client.create_logs(logs)
    assert watchdog() == []  # its hooks may be about to record it
    assert [known.flow for known in run_ledger.read()] == ["watchdog"]

    expected = f"{EXITED} SyntaxError: invalid syntax"
    assert unrecorded_runs.record(timedelta()) == [f"recorded ingest {run.name}: crashed, {expected}"]
    (recorded,) = (known for known in run_ledger.read() if known.flow == "ingest")
    assert run.end_time
    assert (recorded.id, recorded.state, recorded.error) == (str(run.id), "crashed", expected)
    assert datetime.fromisoformat(recorded.ended) == run.end_time
    assert len(events(alerts.FAILED, run.id)) == 1
    assert [alert.run for alert in alerts.of_runs(run_ledger.read())] == [recorded.id]
    assert 'artdetect_runs{flow="ingest",state="crashed"} 1.0' in (roots / "artifacts" / "metrics.prom").read_text()

    assert unrecorded_runs.record(timedelta()) == []
    assert len(run_ledger.read()) == 2


def test_only_what_failed_and_is_on_no_record_is_recorded(client: SyncPrefectClient, deployment: Any) -> None:
    known = ended(client, deployment, Failed(message="no"))
    ActiveRun(str(known.id), "ingest", "known").end("failed", "DataError: no")
    going_on = ended(client, deployment, Failed(message="set by hand"))
    active = ActiveRun(str(going_on.id), "ingest", "going on")
    for state in (Completed(), Cancelled()):
        ended(client, deployment, state)
    other = client.create_flow_from_name("a person's own")
    own = client.create_deployment(other, "own", work_pool_name=services.POOL)
    ended(client, own, Failed())
    elsewhere = client.create_deployment(client.create_flow_from_name("ingest"), "elsewhere")
    ended(client, elsewhere, Failed())
    failed = ended(client, deployment, Failed(message="cannot be loaded"))
    try:
        assert unrecorded_runs.record(timedelta()) == [f"recorded ingest {failed.name}: failed, cannot be loaded"]
    finally:
        active.end("completed")
        client.delete_deployment(own)
        client.delete_deployment(elsewhere)


def test_what_the_watchdog_saw_before_is_not_recorded_again(
    client: SyncPrefectClient, deployment: Any, monkeypatch: Any
) -> None:
    """Garbage collection may have removed it from the ledger."""
    monkeypatch.setattr(unrecorded_runs, "OVERLAP", timedelta())
    ended(client, deployment, Failed(message="long ago"))
    time.sleep(0.01)
    ActiveRun("w", "watchdog", "watchdog").end("completed")
    assert unrecorded_runs.record(timedelta()) == []
    assert [run.flow for run in run_ledger.read()] == ["watchdog"]
