"""The watch: takes what was dropped into data/inbox, and says so, that a retraining may start.

One look a run: a deployment with an interval makes it a watch. The flow uses only what has settled (section `ingest`).
"""

from typing import Any

import httpx
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.events import Event, RelatedResource
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

from artdetect import config as configs
from artdetect import ingest as library
from artdetect.formatting.text import escape_markdown
from artdetect.ingest import IngestResult
from flows.parameters import SAMPLE, ConfigFile
from tasks.engine.run_record import HOOKS

ADDED = "artdetect.samples.added"
RESOURCE = "artdetect.data.incoming"
SHOWN = 20  # names of a kind on the dashboard; all stand in the provenance and in data/rejected


@flow(
    name="ingest",
    flow_run_name="ingest data/inbox",
    persist_result=False,
    **HOOKS,
)
def ingest(config: ConfigFile = SAMPLE) -> dict[str, int]:
    """Look into the inbox once; give how many pictures were added, known, rejected and left.

    Args:
        config: A TOML file, relative to the project, or a whole config: pictures are compared with its data set.
    """
    config = configs.chosen(config)
    log = get_run_logger()
    result = library.inbox(config, lambda done, total: log.info("ingest: %d of %d pictures", done, total))
    if result.added or result.known or result.rejected:
        log.info("ingest: %(added)d added, %(known)d known, %(rejected)d rejected, %(left)d left", result.counts)
        create_markdown_artifact(_said(result), key="ingest", description="Pictures that came in")
    if trouble := announce(result):
        log.warning("ingest: %s", trouble)
    return result.counts


def announce(result: IngestResult) -> str | None:
    """Tell the configured Prefect server of the pictures that were added; in words why not, where it does not answer.

    Where no server is configured nothing is told, and none is started: a scheduled retraining sees the pictures anyway.
    """
    server = PREFECT_API_URL.value()
    if not result.added or not server:
        return None
    event = Event(
        event=ADDED,
        resource={"prefect.resource.id": RESOURCE, "prefect.resource.name": "incoming pictures"},
        related=_related(),
        payload=_told(result),
    )
    try:
        # Not `emit_event`, which leaves it to a thread that the end of the process cuts off or waits for.
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=[event.model_dump(mode="json")])
    except httpx.HTTPError as error:
        return (
            f"Prefect's server at {server} does not answer ({error}); a scheduled retraining sees the pictures anyway"
        )
    return None


def _related() -> list[RelatedResource]:
    """The flow run that this is, if it is one."""
    if flow_run.id is None:
        return []
    named = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}
    return [RelatedResource.model_validate(named)]


def _told(result: IngestResult) -> dict[str, Any]:
    return {**result.counts, "by_origin": result.by_origin, "incoming": library.totals(), "batches": result.provenance}


def _said(result: IngestResult) -> str:
    lines = ["| added to | pictures |", "|---|---|"]
    lines += [f"| {escape_markdown(where)} | {count:,} |" for where, count in result.by_origin.items()]
    lines += [f"| {what} | {count:,} |" for what, count in result.counts.items()]
    lines += _list("Rejected", [f"{one.name}: {one.reason}" for one in result.rejected])
    lines += _list("Look like one that was there", [f"{path}: {other}" for path, other in result.near])
    for reason, names in result.left.items():
        lines += _list(f"Left: {reason}", names)
    return "\n".join(lines)


def _list(title: str, names: list[str]) -> list[str]:
    shown = [f"- {escape_markdown(name)}" for name in names[:SHOWN]]
    more = [f"- … and {len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    return ["", f"{escape_markdown(title)}:", "", *shown, *more] if names else []
