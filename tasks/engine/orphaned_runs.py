"""Ends the runs that Prefect's server takes for active although no process works on them any more.

Prefect ends the runs of a process that its worker sees die. These remain: the tasks of a killed run, which show
Running for ever; a run that was being submitted when the worker stopped, which keeps its deployment's only slot; and a
run killed together with its worker. `make up` ends them before it starts a worker, and the watchdog while one runs:

    python -m tasks.engine.orphaned_runs
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Crashed, Failed, State

from artdetect.artifacts import active_runs, run_ledger
from artdetect.formatting.text import printable
from tasks.engine import own_deployments, run_record

PATIENCE = timedelta(minutes=10)  # for a run to reach its flow's code, and for the states of tasks to arrive
HOLD_A_SLOT = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
PAGE_SIZE = 200  # runs per request


@dataclass
class Ended:
    """What was ended.

    Args:
        runs: Flow runs whose state was set on the server, a line each.
        tasks: How many task runs were ended.
        slots: Deployments whose slots were set right.
    """

    runs: list[str] = field(default_factory=list)
    tasks: int = 0
    slots: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What was done, a line each; none if there was nothing to do."""
        lines = [f"ended {run}" for run in self.runs]
        lines += [f"ended {self.tasks:,} tasks of runs that had ended"] if self.tasks else []
        return lines + [f"freed the slot of {name}" for name in self.slots]


def end(patience: timedelta = PATIENCE) -> Ended:
    """End what nobody works on, on the server in use, and record it.

    Args:
        patience: How long a run may be about to start, and a task's last state on its way. Zero before a worker is
            started, when no run can be about to start.
    """
    run_record.record_crashes()
    ended = Ended()
    now = datetime.now(UTC)

    def is_past(moment: datetime) -> bool:
        return abs(now - moment) >= patience  # in the future: the clock was set back since

    with get_client(sync_client=True) as client:
        own = own_deployments.read(client)
        for run in list(_flow_runs(client, HOLD_A_SLOT)):
            lasting = run.state is None or is_past(run.state.timestamp)
            flow = client.read_flow(run.flow_id).name
            pending = run.state is not None and run.state.is_pending()
            here = run.deployment_id in own and (pending or flow in own_deployments.FLOWS)
            if state := _end_of(run, is_past, here and lasting):
                client.set_flow_run_state(run.id, state)
                if not state.is_completed():
                    run_record.record_end(flow, run, state)
                ended.runs.append(printable(f"{flow} {run.name}: {state.name}, {state.message}"))
        for task, state in list(_tasks_of_ended_runs(client, is_past)):
            client.set_task_run_state(task, state, force=True)
            ended.tasks += 1
        ended.slots += _freed(client, own)
    return ended


def _end_of(run: FlowRun, is_past: Callable[[datetime], bool], given_up: bool) -> State[Any] | None:
    """The state in which an active run has ended, or None while a process may work on it.

    Args:
        run: The run.
        is_past: Whether a time is over for long enough. A run that ended since then is about to tell the server.
        given_up: Whether a process that works on it would be on record as in progress by now. This is not known of
            other runs than those of the deployments, which may be another project's, nor of a person's own flows.
    """
    if active_runs.is_running(str(run.id)):
        return None
    recorded = next((one for one in reversed(run_ledger.read()) if one.id == str(run.id)), None)
    if recorded and recorded.state == "crashed":
        return Crashed(message=recorded.error)
    if recorded and recorded.state == "cancelled":
        return Cancelled(message=recorded.error)
    if recorded:
        if not is_past(datetime.fromisoformat(recorded.ended)):
            return None
        return Failed(message=recorded.error) if recorded.error else Completed(message="The server was not told")
    if not given_up:
        return None
    if run.state and run.state.is_cancelling():
        return Cancelled(message="Its process is gone")
    doing = "being started" if run.state and run.state.is_pending() else "running"
    return Crashed(message=f"It was {doing} when the services stopped or its process was killed; start it again")


def _flow_runs(client: SyncPrefectClient, states: list[StateType], deployment: Any = None) -> Iterator[FlowRun]:
    chosen = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states)))
    of = DeploymentFilter(id=DeploymentFilterId(any_=[deployment])) if deployment else None
    offset = 0
    while page := client.read_flow_runs(flow_run_filter=chosen, deployment_filter=of, limit=PAGE_SIZE, offset=offset):
        yield from page
        offset += len(page)


def _tasks_of_ended_runs(
    client: SyncPrefectClient, is_past: Callable[[datetime], bool]
) -> Iterator[tuple[Any, State[Any]]]:
    """Id and last state of each active task whose flow run ended in the past."""
    active = TaskRunFilter(
        state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING]))
    )
    runs: dict[Any, FlowRun | None] = {}
    offset = 0
    while page := client.read_task_runs(task_run_filter=active, limit=PAGE_SIZE, offset=offset):
        offset += len(page)
        for task in page:
            if task.flow_run_id is None:
                continue
            if task.flow_run_id not in runs:
                runs[task.flow_run_id] = _flow_run(client, task.flow_run_id)
            run = runs[task.flow_run_id]
            if run and run.state and run.state.is_final() and is_past(run.state.timestamp):
                end = Cancelled if run.state.is_cancelled() else Crashed
                yield task.id, end(message=f"Its run ended as {run.state.name}")


def _flow_run(client: SyncPrefectClient, run_id: Any) -> FlowRun | None:
    with suppress(ObjectNotFound):
        return client.read_flow_run(run_id)
    return None


def _freed(client: SyncPrefectClient, deployments: dict[Any, Any]) -> Iterator[str]:
    """Set the slots of deployments right that a lost run keeps; yields their names.

    The server counts a slot down when the run that holds it ends. It loses a count if it was restarted meanwhile.
    """
    for deployment in deployments.values():
        limit = deployment.global_concurrency_limit
        if limit is None or not limit.active_slots:
            continue
        holders = sum(1 for _ in _flow_runs(client, HOLD_A_SLOT, deployment.id))
        if holders < limit.active_slots:
            client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(active_slots=holders))
            yield deployment.name


def main() -> None:
    """End them, and say what was done; for `make up`, before a worker runs."""
    for line in end(timedelta()).lines():
        print(line)


if __name__ == "__main__":
    main()
