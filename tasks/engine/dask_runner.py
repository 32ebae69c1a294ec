"""Who runs a flow's many tasks of one kind: this process, or the workers of a Dask cluster."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from prefect import Task
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.callables import get_call_parameters

from artdetect.compute import PREFETCH, ComputeContext, dask_cluster
from artdetect.core.errors import ComputeError

if TYPE_CHECKING:
    from prefect_dask import DaskTaskRunner


def results(task: Task[..., Any], calls: Iterable[tuple[Any, ...]], crew: ComputeContext) -> Iterator[Any]:
    """What `task` gives for the arguments of each call, in order: one after the other here, or at once on a cluster.

    On a cluster `AHEAD` calls a worker are under way; what a killed worker had is done again by another.

    Raises:
        ComputeError: the cluster is not there, or lost a call for good.
        Exception: whatever a task raises.
    """
    if crew.config.engine != "dask":
        yield from (task(*call) for call in calls)
        return
    running: deque[Any] = deque()
    with _runner(crew) as runner, dask_cluster.translate_errors():
        workers = crew.workers
        for call in calls:
            running.append(runner.submit(task, get_call_parameters(task.fn, call, {})))
            if len(running) >= PREFETCH * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


@contextmanager
def _runner(crew: ComputeContext) -> "Iterator[DaskTaskRunner]":
    """Prefect's, on the crew's cluster; its tasks report to the server of this flow run."""
    address = crew.cluster.address
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise ComputeError(
            f"tasks on a cluster need prefect-dask, which is not installed: {dask_cluster.INSTALL}"
        ) from error
    with ExitStack() as stack:
        run = FlowRunContext.get()
        if run and not PREFECT_API_URL.value():  # a temporary server: else each worker would start one of its own
            stack.enter_context(temporary_settings({PREFECT_API_URL: str(run.client.api_url)}))
        yield stack.enter_context(DaskTaskRunner(address=address))
