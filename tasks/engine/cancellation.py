"""Whether a person cancelled a run: in the dashboard, with `prefect flow-run cancel`, or with Ctrl-C in its terminal.

After the first two, the worker ends the run's process as any stop of the worker would; Prefect's server alone knows the
difference.
"""

from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL

TIMEOUT = 10.0  # seconds
INTERRUPTED = "Execution was aborted by an interrupt signal."  # Prefect's words in the Crashed state after Ctrl-C


def was_interrupted(state: State[Any]) -> bool:
    """Whether a run ended in this state by Ctrl-C, which Prefect takes for a crash."""
    return state.is_crashed() and state.message == INTERRUPTED


def was_cancelled(run_id: str) -> bool:
    """Whether a run was cancelled, also if it ended in another state afterwards.

    It is taken for not cancelled if no server is configured, which this does not start, or if that does not answer.

    Args:
        run_id: The flow run.
    """
    if not PREFECT_API_URL.value():
        return False
    try:
        # Not the run's own client, which would wait for a server that was stopped together with the run.
        with get_client(httpx_settings={"timeout": TIMEOUT}, sync_client=True) as client:
            states = client.read_flow_run_states(run_id)  # type: ignore[arg-type]
    except httpx.HTTPError:  # also if the id is none of the server's, as those of `artdetect ingest`
        return False
    for state in sorted(states, key=lambda state: state.timestamp, reverse=True):
        if state.is_cancelling() or state.is_cancelled():
            return True
        if state.is_scheduled() or state.is_pending() or state.is_running():
            return False
    return False
