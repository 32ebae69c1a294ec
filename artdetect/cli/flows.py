"""The only module of artdetect that imports the flows: it runs them for the command line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artdetect.config import Config
    from artdetect.ingest import IngestResult
    from flows.tune import TuneResult
    from tasks.engine.caching import StageOutcome


def run_pipeline(config: "Config", refresh: Sequence[str]) -> "list[StageOutcome]":
    """Run the pipeline; `refresh` names stages to build again, whose names the caller has checked."""
    from flows.pipeline import pipeline
    from tasks.engine.connection import connected

    with connected():
        return pipeline(config, refresh=list(refresh))  # type: ignore[arg-type]


def run_retrain(config: "Config", force: bool) -> "list[StageOutcome]":
    """Train a challenger, and promote it if it passes the gate."""
    from flows.retrain import retrain
    from tasks.engine.connection import connected

    with connected():
        return retrain(config, force=force)


def run_tune(config: "Config") -> "TuneResult":
    """Search for better settings."""
    from flows.tune import tune
    from tasks.engine.connection import connected

    with connected():
        return tune(config)


def announce(result: "IngestResult") -> str | None:
    """Emit the event that starts a retraining; see `flows.ingest.announce`."""
    from flows.ingest import announce as emit

    return emit(result)


def prune_prefect(days: float, dry_run: bool) -> dict[str, Any]:
    """Delete old flow runs from Prefect's server; see `flows.housekeeping.prune`."""
    from flows.housekeeping import prune
    from tasks.engine.connection import connected

    with connected():
        return prune(days, dry_run)
