"""What a flow run leaves beside its artifacts: an entry in the run ledger, Prometheus metrics, advice if it failed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from prefect import Flow, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun, State

from artdetect.artifacts import run_ledger
from artdetect.artifacts.run_ledger import Run, StageRecord
from artdetect.core import errors
from artdetect.monitoring import prometheus_metrics
from tasks.engine.caching import RUN_CONTEXT, RunContext

_EXPECTED = [kind.__name__ for kind in errors.ArtdetectError.__subclasses__()]


@contextmanager
def recorded(refresh: Sequence[str] = ()) -> Iterator[RunContext]:
    """Open the context of a flow run. At its end, failed or not, write the run to the ledger and update the metrics.

    Args:
        refresh: Stages to build again even if they are current.
    """
    context = RunContext(frozenset(refresh))
    RUN_CONTEXT.set(context)
    began = datetime.now(UTC).isoformat()
    error: str | None = None
    try:
        yield context
    except BaseException as raised:
        error = f"{type(raised).__name__}: {raised}"
        raise
    finally:
        run_ledger.write(
            Run(
                id=str(runtime.flow_run.id),
                flow=str(runtime.flow_run.flow_name),
                name=str(runtime.flow_run.name),
                began=began,
                ended=datetime.now(UTC).isoformat(),
                state="failed" if error else "completed",
                error=error,
                stages=[
                    StageRecord(stage=use.stage, key=use.artifact.key, ran=use.ran, why=use.why, seconds=use.seconds)
                    for use in context.outcomes
                ],
                facts=context.facts,
            )
        )
        context.locks.release()  # the ledger protects what it used from now on
        prometheus_metrics.write()


def advise(flow: "Flow[..., Any]", flow_run: FlowRun, state: State[Any]) -> None:
    """A hook for failed and crashed runs: shows on the dashboard what happened and what to do next.

    Prefect calls it with these arguments.

    Args:
        flow: The flow.
        flow_run: The run, which gets the artifact.
        state: The run's final state, with the error's message.
    """
    message = state.message or "no message"
    with get_client(sync_client=True) as client:
        client.create_artifact(
            ArtifactCreate(
                key="what-to-do",
                type="markdown",
                description=f"{state.name}: what to do next",
                data=_advice(flow.name, state.is_crashed(), message),
                flow_run_id=flow_run.id,
            )
        )


HOOKS: dict[str, Any] = {"on_failure": [advise], "on_crashed": [advise]}  # for every deployed flow


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
    return "\n".join([f"> {message}", "", *(f"{number}. {step}" for number, step in enumerate(steps, 1))])
