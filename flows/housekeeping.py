"""Garbage collection by a timer: artifacts that nothing needs, what dead processes left, and old runs on the server.

    python -m flows.housekeeping

Deployed as `housekeeping/nightly`. The same as `artdetect gc`, which says the artifacts one by one.
"""

import sys
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

from artdetect.errors import ArtdetectError
from artdetect.housekeeping import HousekeepingConfig, text
from artdetect.housekeeping.collect import collect
from tasks import logs
from tasks.recorded import HOOKS, recorded

logs.install()
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
        lines, shown = text.totals(found), text.report(found)
        if settings.prune_prefect:
            pruned = prune(settings.keep_days, settings.dry_run)
            done["pruned"] = pruned["flow_runs"] or 0
            lines.append(said(pruned, settings.dry_run))
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


def said(pruned: dict[str, int | None], dry_run: bool) -> str:
    """What `prune` did, in words."""
    text_size = "" if (size := pruned["database_bytes"]) is None else f" Its database takes {text.size(size)}."
    return (
        f"{pruned['flow_runs']:,} flow runs {'would be ' if dry_run else ''}deleted from Prefect's server.{text_size}"
    )


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


def main() -> int:
    """The exit code, as of `artdetect gc`."""
    try:
        housekeeping()
    except ArtdetectError as error:
        print(f"artdetect: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
