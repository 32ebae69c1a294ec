"""What a flow run leaves beside its artifacts: an entry in the run ledger, metrics, an event and advice if it failed.

A run that is killed leaves them through whoever notices first: Prefect's hook in the worker, the next run, the
watchdog or `make up`. A run that a person cancelled has not failed: it leaves no event and no advice.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect import Flow, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_run_logger
from prefect.states import Cancelled

from artdetect import alerts
from artdetect.artifacts import active_runs, run_ledger
from artdetect.artifacts.run_ledger import Run
from artdetect.core import errors, interrupts
from artdetect.formatting import markdown
from artdetect.formatting.text import printable
from artdetect.monitoring import prometheus_metrics, recorded_run
from tasks.engine import cancellation, events
from tasks.engine.caching import RUN_CONTEXT, RunContext
from tasks.engine.connection import server_errors

_EXPECTED = [kind.__name__ for kind in errors.ArtdetectError.__subclasses__()]


@contextmanager
def recorded(refresh: Sequence[str] = ()) -> Iterator[RunContext]:
    """Open the context of a flow run. At its end, failed or not, write the run to the ledger and update the metrics.

    First it records the runs before it that were killed.

    Args:
        refresh: Stages to build again even if they are current.
    """
    run = runtime.flow_run
    context = None
    for before in record_crashes():
        get_run_logger().warning("%s %s is now %s: %s", before.flow, printable(before.name), before.state, before.error)
    ids = str(run.id), str(run.flow_name), str(run.name)
    try:
        with recorded_run.recorded(*ids, _state_after) as record, server_errors():
            context = RunContext(record, frozenset(refresh))
            RUN_CONTEXT.set(context)
            yield context
    except BaseException as error:
        # before Prefect sets the state, after which `prefect deployment run --watch` prints no more events
        reason = str(error) or type(error).__name__
        state = (context and context.record.state) or recorded_run.state_after(error)
        lost = isinstance(error, errors.ServerError)
        if not lost and (problem := emit_failure(str(run.id), str(run.flow_name), state, reason)):
            get_run_logger().warning("%s", problem)
        interrupts.check()  # whatever it became on its way
        raise
    finally:
        if context:
            context.locks.release()  # the ledger protects what it used from now on


def _state_after(error: BaseException) -> run_ledger.State:
    """How the present run ended that raised this. SIGTERM ends a cancelled run, wherever its code was."""
    if (state := recorded_run.state_after(error)) == "cancelled":
        return state
    lost = isinstance(error, errors.ServerError)  # it cannot be asked
    if not lost and cancellation.was_cancelled(str(runtime.flow_run.id)):
        return "cancelled"
    return state


def emit_failure(run_id: str, flow: str, state: run_ledger.State, reason: str) -> str | None:
    """Emit the event that a run failed or crashed, if it did; returns an error message if the server does not answer.

    Args:
        run_id: The flow run.
        flow: The flow's name.
        state: How it ended, as in the ledger.
        reason: Why.
    """
    if state not in run_ledger.FAILURES:
        return None
    said = printable(reason)
    payload = {"flow": flow, "run": run_id, "state": state, "reason": said}
    return events.emit(alerts.FAILED, f"artdetect.flow.{flow}", f"{flow} {state}: {said}", payload, run_id)


def record_crashes() -> list[Run]:
    """Record the runs that were killed since, with metrics and, if nobody cancelled them, events; returns them."""
    crashed = active_runs.record_crashed(cancellation.was_cancelled)
    for run in crashed:
        emit_failure(run.id, run.flow, run.state, str(run.error))
    if crashed:
        prometheus_metrics.write()
    return crashed


def record_end(flow: str, flow_run: FlowRun, state: State[Any]) -> Run | None:
    """Record a run that ended before it could say so itself; None if it is on record.

    Args:
        flow: The flow's name.
        flow_run: The run.
        state: The state in which it ended.
    """
    if run_ledger.has(str(flow_run.id)):
        return None
    cancelled = (
        state.is_cancelling()
        or state.is_cancelled()
        or cancellation.was_interrupted(state)
        or cancellation.was_cancelled(str(flow_run.id))
    )
    ended = flow_run.end_time.isoformat() if flow_run.end_time else run_ledger.now()
    run = Run(
        id=str(flow_run.id),
        flow=flow,
        name=flow_run.name,
        began=flow_run.start_time.isoformat() if flow_run.start_time else ended,
        ended=ended,
        state="cancelled" if cancelled else "crashed" if state.is_crashed() else "failed",
        error=run_ledger.CANCELLED if cancelled else state.message,
        stages=[],
    )
    run_ledger.write(run)
    emit_failure(run.id, flow, run.state, str(run.error))
    prometheus_metrics.write()
    return run


def advise(flow: "Flow[..., Any]", flow_run: FlowRun, state: State[Any]) -> None:
    """A hook for failed and crashed runs: records the end, and shows what happened and what to do next.

    A run that Ctrl-C ended, which Prefect takes for crashed, becomes cancelled.

    Prefect calls it with these arguments; after a crash in the worker's process.

    Args:
        flow: The flow.
        flow_run: The run, which gets the artifact.
        state: The run's final state, with the error's message.
    """
    record_crashes()
    record_end(flow.name, flow_run, state)
    message = state.message or "no message"
    with get_client(sync_client=True) as client:
        if cancellation.was_interrupted(state):
            client.set_flow_run_state(flow_run.id, Cancelled(message=message), force=True)
            return
        client.create_artifact(
            ArtifactCreate(
                key="what-to-do",
                type="markdown",
                description=f"{state.name}: {printable(message)}",
                data=_advice(flow.name, state.is_crashed(), message),
                flow_run_id=flow_run.id,
            )
        )


def record_cancellation(flow: "Flow[..., Any]", flow_run: FlowRun, state: State[Any]) -> None:
    """A hook for cancelled runs: the worker calls it. It records the end where the process could not any more.

    Args:
        flow: The flow.
        flow_run: The run.
        state: That it is being cancelled.
    """
    record_crashes()
    record_end(flow.name, flow_run, state)


# for every deployed flow
HOOKS: dict[str, Any] = {"on_failure": [advise], "on_crashed": [advise], "on_cancellation": [record_cancellation]}


def _advice(flow: str, crashed: bool, message: str) -> str:
    again = "Run it again: finished stages are cached, and a training resumes after its last epoch."
    if crashed:
        steps = [
            "Something outside ended the run's process: a stopped worker, a restart of the machine, or lack of memory "
            "(`dmesg | grep -i kill`).",
            again,
            "If memory was short: `--set compute.workers=1` and a smaller `train.batch_size` need less.",
        ]
    elif "AuditFailed" in message:
        steps = [
            "The audit stopped the run: the artifact *audit* lists the pictures.",
            "Correct the data, or set the rule to warn (`audit.<finding>=warn`) if you accept the finding.",
            again,
        ]
    elif any(kind in message for kind in _EXPECTED):
        steps = ["The message says what to correct, and where.", again]
    else:
        steps = [
            "artdetect does not expect this error. The run's log has the traceback; please report it.",
            again,
        ]
    if flow == "retrain":
        steps.append("The champion is unchanged: `artdetect models` shows it.")
    return "\n".join(
        [f"> {markdown.escape(message)}", "", *(f"{number}. {step}" for number, step in enumerate(steps, 1))]
    )
