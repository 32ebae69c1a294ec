"""The events that flows emit to a configured Prefect server, for its automations and for whoever listens to it."""

from collections.abc import Mapping
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.events import Event, RelatedResource
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

SAMPLES_ADDED = "artdetect.samples.added"  # the other events are those of `artdetect.alerts`


def emit(event: str, resource: str, name: str, payload: Mapping[str, Any], run_id: object = None) -> str | None:
    """Emit an event. It has reached the server when this returns.

    Without a configured server this does nothing, and starts none.

    Args:
        event: The event's name.
        resource: The id of what it is about.
        name: What it is about, in words; `prefect deployment run --watch` prints it.
        payload: JSON values.
        run_id: The flow run that it is related to; by default the current one, if there is one.

    Returns:
        An error message if the server does not answer.
    """
    server = PREFECT_API_URL.value()
    if not server:
        return None
    run_id = run_id or flow_run.id
    related = {"prefect.resource.id": f"prefect.flow-run.{run_id}", "prefect.resource.role": "flow-run"}
    made = Event(
        event=event,
        resource={"prefect.resource.id": resource, "prefect.resource.name": name},
        related=[RelatedResource.model_validate(related)] if run_id else [],
        payload=dict(payload),
    )
    try:
        # Not `emit_event`: it uses a thread, which the end of the process cuts off or waits for.
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=[made.model_dump(mode="json")])
    except httpx.HTTPError as error:
        return f"Prefect's server at {server} does not answer ({error})"
    return None
