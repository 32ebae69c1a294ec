"""Records the runs that failed before any code of their flow ran, so that metrics and alerts know of them.

A flow that cannot be imported, say for a syntax error or a package that is not installed, has no hooks either. Only
Prefect's server knows that its run ended. The watchdog looks for such runs.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    LogFilter,
    LogFilterFlowRunId,
    LogFilterLevel,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort, LogSort

from artdetect.artifacts import active_runs, run_ledger
from artdetect.formatting.text import printable
from tasks.engine import own_deployments, run_record

FARTHEST = timedelta(days=1)  # back from now, if no watchdog has looked for so long
OVERLAP = timedelta(minutes=10)  # with the look before, for what ended while it looked
SETTLED = timedelta(minutes=1)  # for the hooks of a run that has just ended to record it
MOST = 200  # runs per look, the newest; the server gives no more at once
ERROR = 40  # level of logging


def record(settled: timedelta = SETTLED) -> list[str]:
    """Record them, with events; returns a line for each.

    Args:
        settled: How long ago a run must have ended.
    """
    now = datetime.now(UTC)
    lines = []
    with get_client(sync_client=True) as client:
        for run in list(_failures(client, min(_last_look(), now) - OVERLAP, now - settled)):
            flow = client.read_flow(run.flow_id).name
            if run.state is None or flow not in own_deployments.FLOWS or active_runs.is_running(str(run.id)):
                continue
            if recorded := run_record.record_end(flow, run, _with_reason(client, run, run.state)):
                lines.append(printable(f"recorded {flow} {run.name}: {recorded.state}, {recorded.error}"))
    return lines


def _last_look() -> datetime:
    """When the last watchdog that completed began, if that was in the last day, so that no run is recorded again that
    garbage collection has removed from the ledger."""
    farthest = datetime.now(UTC) - FARTHEST
    looks = (run for run in run_ledger.read() if run.flow == "watchdog" and run.state == "completed")
    return max((datetime.fromisoformat(run.began) for run in looks), default=farthest)


def _failures(client: SyncPrefectClient, since: datetime, until: datetime) -> Iterator[FlowRun]:
    """The runs of the project's deployments that failed or crashed in between and are not on record, oldest first."""
    deployments = own_deployments.read(client)
    if not deployments:  # the server takes an empty list for no condition
        return
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.FAILED, StateType.CRASHED])),
            end_time=FlowRunFilterEndTime(after_=since, before_=until),
        ),
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=list(deployments))),
        sort=FlowRunSort.END_TIME_DESC,
        limit=MOST,
    )
    yield from (run for run in reversed(runs) if not run_ledger.has(str(run.id)))


def _with_reason(client: SyncPrefectClient, run: FlowRun, state: State) -> State:
    """The state with the last line of the first traceback in the run's log, which names what could not be imported."""
    errors = client.read_logs(
        LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]), level=LogFilterLevel(ge_=ERROR)),
        sort=LogSort.TIMESTAMP_ASC,
        limit=MOST,
    )
    if not errors:
        return state
    error = next((error for error in errors if "Traceback" in error.message), errors[0])
    reason = error.message.strip().splitlines()[-1]
    return state.model_copy(update={"message": f"{state.message} {reason}"})
