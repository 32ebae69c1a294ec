"""The project's flows and deployments on a server that may serve others, too."""

from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName

from artdetect import services

FLOWS = ("pipeline", "retrain", "ingest", "explain", "tune", "housekeeping", "watchdog")  # they say that they run


def read(client: SyncPrefectClient) -> dict[Any, Any]:
    """Id -> deployment, for those of the project's work pool."""
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[services.POOL]))
    return {deployment.id: deployment for deployment in client.read_deployments(work_pool_filter=pool)}
