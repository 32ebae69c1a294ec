"""The only module of artdetect that imports the flows: it runs them for the command line."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from artdetect.cli import terminal
from artdetect.core import interrupts

if TYPE_CHECKING:
    from artdetect.artifacts.run_ledger import Run
    from artdetect.config import Config
    from artdetect.ingest import IngestResult
    from flows.tune import TuneResult
    from tasks.engine.caching import StageOutcome


def run_pipeline(config: "Config", refresh: Sequence[str]) -> "list[StageOutcome]":
    """Run the pipeline; `refresh` names stages to build again, whose names the caller has checked."""
    with _starting():
        from flows.pipeline import pipeline
        from tasks.engine.connection import connected

    with interrupts.noticed(), connected():
        return pipeline(config, refresh=list(refresh))  # type: ignore[arg-type]


def run_retrain(config: "Config", force: bool) -> "list[StageOutcome]":
    """Train a challenger, and promote it if it passes the gate."""
    with _starting():
        from flows.retrain import retrain
        from tasks.engine.connection import connected

    with interrupts.noticed(), connected():
        return retrain(config, force=force)


def run_tune(config: "Config") -> "TuneResult":
    """Search for better settings."""
    with _starting():
        from flows.tune import tune
        from tasks.engine.connection import connected

    with interrupts.noticed(), connected():
        return tune(config)


@contextmanager
def _starting() -> Iterator[None]:
    """While Prefect is imported, which takes seconds and reads its settings: a quiet command's log has errors alone."""
    if terminal.is_quiet():
        os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"
    with terminal.activity("starting Prefect"):
        yield


def announce(result: "IngestResult") -> str | None:
    """Emit the event that starts a retraining; see `flows.ingest.announce`."""
    from flows.ingest import announce as emit

    return emit(result)


def was_cancelled(run_id: str) -> bool:
    """Whether a person cancelled a run; see `tasks.engine.cancellation`."""
    from tasks.engine.cancellation import was_cancelled as ask

    return ask(run_id)


def tell_of_failures(runs: "Sequence[Run]") -> None:
    """Emit the events of runs that failed or crashed; see `flows.ingest.tell_of_failures`."""
    from flows.ingest import tell_of_failures as emit

    for problem in emit(runs):
        terminal.say(problem)


def prune_prefect(days: float, dry_run: bool) -> dict[str, Any]:
    """Delete old flow runs from Prefect's server; see `flows.housekeeping.prune`."""
    from flows.housekeeping import prune
    from tasks.engine.connection import connected

    with connected():
        return prune(days, dry_run)
