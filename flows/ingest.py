"""The ingest flow: take new pictures from data/inbox and emit an event, which may start a retraining.

Each run empties the inbox once; a deployment runs it at an interval. Only files that have settled are taken (section
`ingest`).
"""

from collections.abc import Sequence
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artdetect import config as configs
from artdetect import ingest as library
from artdetect.artifacts.run_ledger import Run
from artdetect.formatting import markdown
from artdetect.ingest import IngestResult
from flows.parameters import ConfigFile
from tasks.engine import events
from tasks.engine.run_record import HOOKS, emit_failure, recorded
from tasks.engine.summary import name_outcome

RESOURCE = "artdetect.data.incoming"
MAX_LISTED = 20  # names per list on the dashboard; the provenance and data/rejected have all


@flow(
    name="ingest",
    flow_run_name="ingest data/inbox",
    persist_result=False,
    **HOOKS,
)
def ingest(config: ConfigFile = None) -> dict[str, int]:
    """Ingest the inbox once, and return the numbers of pictures added, known, rejected and left.

    Args:
        config: A TOML file, relative to the project, or a whole config; by default the project's. Pictures are compared
            with its data set.
    """
    log = get_run_logger()
    with recorded() as run:
        config = configs.chosen(config)
        result = library.inbox(config, lambda done, total: log.info("ingest: %d of %d pictures", done, total))
        run.facts["ingest"] = result.counts
        if result.added or result.known or result.rejected:
            log.info("ingest: %(added)d added, %(known)d known, %(rejected)d rejected, %(left)d left", result.counts)
            create_markdown_artifact(_summary(result), key="ingest", description="Incoming pictures")
        else:
            run.record.idle = True
        name_outcome(run, _outcome(result))
        if problem := announce(result):
            log.warning("ingest: %s", problem)
    return result.counts


def _outcome(result: IngestResult) -> str:
    counted = [f"{count:,} {name}" for name, count in result.counts.items() if count]
    return ", ".join(counted) or "nothing new"


def announce(result: IngestResult) -> str | None:
    """Emit an event for the added pictures to the configured Prefect server.

    Without a configured server this does nothing, and starts none: a scheduled retraining finds the pictures anyway.

    Returns:
        An error message if the server does not answer.
    """
    if not result.added:
        return None
    problem = events.emit(events.SAMPLES_ADDED, RESOURCE, "incoming pictures", _payload(result))
    return f"{problem}; a scheduled retraining finds the pictures anyway" if problem else None


def tell_of_failures(runs: Sequence[Run]) -> list[str]:
    """Emit the events of runs that failed or crashed, as `announce` does; returns error messages."""
    told = [emit_failure(run.id, run.flow, run.state, str(run.error)) for run in runs]
    return [problem for problem in told if problem]


def _payload(result: IngestResult) -> dict[str, Any]:
    return {**result.counts, "by_origin": result.by_origin, "incoming": library.totals(), "batches": result.provenance}


def _summary(result: IngestResult) -> str:
    rows = [[markdown.escape(where), f"{count:,}"] for where, count in result.by_origin.items()]
    rows += [[name, f"{count:,}"] for name, count in result.counts.items()]
    lines = [markdown.table(["added to", "pictures"], rows)]
    lines += _list("Rejected", [f"{picture.name}: {picture.reason}" for picture in result.rejected])
    lines += _list("Near-duplicates of known pictures", [f"{path}: {other}" for path, other in result.near])
    for reason, names in result.left.items():
        lines += _list(f"Left in place: {reason}", names)
    return "\n".join(lines)


def _list(title: str, names: list[str]) -> list[str]:
    items = [f"- {markdown.escape(name)}" for name in names[:MAX_LISTED]]
    more = [f"- … and {len(names) - MAX_LISTED:,} more"] if len(names) > MAX_LISTED else []
    return ["", f"{markdown.escape(title)}:", "", *items, *more] if names else []
