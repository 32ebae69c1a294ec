"""Garbage collection by a timer: artifacts that nothing needs, what dead processes left, and old runs on the server.

Deployed as `housekeeping/nightly`. The same as `artdetect gc`, which says the artifacts one by one.
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

logging_setup.install()
PAGE = 200  # flow runs that the server gives at once


@flow(
    name="housekeeping",
    flow_run_name="housekeeping",
    persist_result=False,
    **HOOKS,
)
def housekeeping(settings: HousekeepingConfig = HousekeepingConfig()) -> dict[str, int]:
    """Remove what nothing needs, and say what it came to: artifacts kept and removed, bytes freed, runs pruned.

    Args:
        settings: What may go, and whether it really goes.
    """
    log = get_run_logger()
    with recorded() as ledger:
        found = collect(settings)
        done = {"kept": found.total("kept")[0], "removed": found.total("removed")[0], "freed": found.freed}
        lines, shown = render.totals(found), render.report(found)
        if settings.prune_prefect:
            pruned = prune(settings.keep_days, settings.dry_run)
            done["pruned"] = pruned["flow_runs"] or 0
            lines.append(render.pruned_runs(pruned, settings.dry_run))
            shown += f"\n\n{lines[-1]}"
        for line in lines:
            log.info("housekeeping: %s", line)
        create_markdown_artifact(shown, key="housekeeping", description="Garbage collection")
        ledger.facts["housekeeping"] = done
    return done


def prune(days: float, dry_run: bool) -> dict[str, int | None]:
    """Delete the flow runs that ended more than `days` days ago from the server in use, with what it keeps of them.

    How many (`flow_runs`), and the bytes of the server's database where it is a file here (`database_bytes`).
    """
    before = datetime.now(UTC) - timedelta(days=days)
    gone = 0
    with get_client(sync_client=True) as client:
        while runs := _ended(client, before, gone if dry_run else 0):
            for run in runs:
                gone += 1
                if not dry_run:
                    _delete(client, run)
    return {"flow_runs": gone, "database_bytes": _database_bytes()}


def _ended(client: SyncPrefectClient, before: datetime, offset: int) -> list[FlowRun]:
    chosen = FlowRunFilter(
        end_time=FlowRunFilterEndTime(before_=before),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=sorted(TERMINAL_STATES))),
    )
    return client.read_flow_runs(flow_run_filter=chosen, limit=PAGE, offset=offset)


def _delete(client: SyncPrefectClient, run: FlowRun) -> None:
    with suppress(ObjectNotFound):  # another did
        client.delete_flow_run(run.id)


def _database_bytes() -> int | None:
    _, sqlite, path = PREFECT_API_DATABASE_CONNECTION_URL.value().partition(":///")
    file = Path(path)
    return file.stat().st_size if sqlite and file.is_file() else None
