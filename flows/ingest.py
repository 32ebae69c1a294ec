"""The ingest flow: take new pictures from data/inbox and emit an event, which may start a retraining.

Each run empties the inbox once; a deployment runs it at an interval. Only files that have settled are taken (section
`ingest`).
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
from artdetect.formatting import markdown
from artdetect.ingest import IngestResult
from flows.parameters import ConfigFile
from tasks.engine.run_record import HOOKS

ADDED = "artdetect.samples.added"
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
    config = configs.chosen(config)
    log = get_run_logger()
    result = library.inbox(config, lambda done, total: log.info("ingest: %d of %d pictures", done, total))
    if result.added or result.known or result.rejected:
        log.info("ingest: %(added)d added, %(known)d known, %(rejected)d rejected, %(left)d left", result.counts)
        create_markdown_artifact(_summary(result), key="ingest", description="Incoming pictures")
    if problem := announce(result):
        log.warning("ingest: %s", problem)
    return result.counts


def announce(result: IngestResult) -> str | None:
    """Emit an event for the added pictures to the configured Prefect server.

    Without a configured server this does nothing, and starts none: a scheduled retraining finds the pictures anyway.

    Returns:
        An error message if the server does not answer.
    """
    server = PREFECT_API_URL.value()
    if not result.added or not server:
        return None
    event = Event(
        event=ADDED,
        resource={"prefect.resource.id": RESOURCE, "prefect.resource.name": "incoming pictures"},
        related=_related(),
        payload=_payload(result),
    )
    try:
        # Not `emit_event`: it uses a thread, which the end of the process cuts off or waits for.
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=[event.model_dump(mode="json")])
    except httpx.HTTPError as error:
        return (
            f"Prefect's server at {server} does not answer ({error}); a scheduled retraining finds the pictures anyway"
        )
    return None


def _related() -> list[RelatedResource]:
    """The current flow run, if there is one."""
    if flow_run.id is None:
        return []
    resource = {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}
    return [RelatedResource.model_validate(resource)]


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
