"""Scheduled garbage collection: artifacts that nothing needs, leftovers of dead processes, and old runs on the server.

Deployed as `housekeeping/nightly`. It does the same as `artdetect gc`, which also lists every artifact.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

from artdetect.housekeeping import HousekeepingConfig, render
from artdetect.housekeeping.garbage_collection import collect
from tasks.engine import logging_setup
from tasks.engine.run_record import HOOKS, recorded
from tasks.engine.summary import name_outcome

logging_setup.install()
PAGE_SIZE = 200  # flow runs per request


@flow(
    name="housekeeping",
    flow_run_name="housekeeping",
    persist_result=False,
    **HOOKS,
)
def housekeeping(settings: HousekeepingConfig = HousekeepingConfig()) -> dict[str, int]:
    """Remove what nothing needs.

    Args:
        settings: What may be removed, and whether to remove it or only list it.

    Returns:
        Artifacts `kept` and `removed`, bytes `freed`, and flow runs `pruned`.
    """
    log = get_run_logger()
    with recorded() as run:
        report = collect(settings)
        counts = {"kept": report.total("kept")[0], "removed": report.total("removed")[0], "freed": report.freed}
        lines, page = render.totals(report), render.page(report)
        if settings.prune_prefect:
            pruned = prune(settings.keep_days, settings.dry_run)
            counts["pruned"] = pruned["flow_runs"] or 0
            lines.append(render.pruned_runs(pruned, settings.dry_run))
            page += f"\n\n{lines[-1]}"
        for line in lines:
            log.info("housekeeping: %s", line)
        create_markdown_artifact(page, key="housekeeping", description="Garbage collection")
        run.facts["housekeeping"] = counts
        name_outcome(run, f"{counts['removed']:,} {'to remove' if settings.dry_run else 'removed'}")
    return counts


def prune(days: float, dry_run: bool) -> dict[str, int | None]:
    """Delete old flow runs, with everything that belongs to them, from the Prefect server in use.

    Args:
        days: Runs that ended more than so many days ago are deleted.
        dry_run: Count the runs and delete none.

    Returns:
        `flow_runs`, the number of runs, and `database_bytes`, the size of the server's database (None if it is not a
        local file).
    """
    before = datetime.now(UTC) - timedelta(days=days)
    count = 0
    with get_client(sync_client=True) as client:
        while runs := _ended(client, before, count if dry_run else 0):
            for run in runs:
                count += 1
                if not dry_run:
                    _delete(client, run)
    return {"flow_runs": count, "database_bytes": database_bytes()}


def _ended(client: SyncPrefectClient, before: datetime, offset: int) -> list[FlowRun]:
    ended = FlowRunFilter(
        end_time=FlowRunFilterEndTime(before_=before),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=sorted(TERMINAL_STATES))),
    )
    return client.read_flow_runs(flow_run_filter=ended, limit=PAGE_SIZE, offset=offset)


def _delete(client: SyncPrefectClient, run: FlowRun) -> None:
    with suppress(ObjectNotFound):  # someone else deleted it
        client.delete_flow_run(run.id)


def database_bytes() -> int | None:
    """The size of the server's database; None if it is not a local file."""
    _, sqlite, path = PREFECT_API_DATABASE_CONNECTION_URL.value().partition(":///")
    file = Path(path)
    return file.stat().st_size if sqlite and file.is_file() else None
