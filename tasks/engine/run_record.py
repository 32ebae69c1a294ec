"""What a flow run leaves beside its artifacts: an entry in the ledger of runs, metrics for a scraper, advice."""

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

_MENDABLE = [kind.__name__ for kind in errors.ArtdetectError.__subclasses__()]


@contextmanager
def recorded(refresh: Sequence[str] = ()) -> Iterator[RunContext]:
    """The ledger of this flow run; at its end, good or bad, it is written to artifacts/runs, and the metrics anew."""
    ledger = RunContext(frozenset(refresh))
    RUN_CONTEXT.set(ledger)
    began = datetime.now(UTC).isoformat()
    error: str | None = None
    try:
        yield ledger
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
                    for use in ledger.runs
                ],
                facts=ledger.facts,
            )
        )
        ledger.claims.release()  # what it used is on record now
        prometheus_metrics.write()


def advise(flow: "Flow[..., Any]", flow_run: FlowRun, state: State[Any]) -> None:
    """A hook for failed and crashed runs: what happened and what to do next, as an artifact of the run."""
    message = state.message or "no message was left"
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


HOOKS: dict[str, Any] = {"on_failure": [advise], "on_crashed": [advise]}  # of every flow that is deployed


def _advice(flow: str, crashed: bool, message: str) -> str:
    again = "Run it again: finished stages are cached, and a training goes on from its last epoch."
    if crashed:
        steps = [
            "The run's process was ended from outside: stopped worker, restart of the machine, or want of memory "
            "(`dmesg | grep -i kill`).",
            again,
            "Short of memory? `--set compute.workers=1` and a smaller `train.batch_size` need less.",
        ]
    elif "AuditFailed" in message:
        steps = [
            "The audit stopped the run: see artifact *audit* for the pictures it means.",
            "Mend the data, or change the rule (`audit.<finding>=warn`) if you accept it.",
            again,
        ]
    elif any(kind in message for kind in _MENDABLE):
        steps = ["The message says what to mend, and where.", again]
    else:
        steps = [
            "This is not an error that artdetect expects. The run's log has the traceback; please report it.",
            again,
        ]
    if flow == "retrain":
        steps.append("The champion is as it was: `artdetect models` shows it.")
    return "\n".join([f"> {message}", "", *(f"{number}. {step}" for number, step in enumerate(steps, 1))])
