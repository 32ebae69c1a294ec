"""Runs many tasks of one kind, in this process or on the workers of a Dask cluster."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from prefect import Task
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.callables import get_call_parameters

from artdetect.compute import PREFETCH, ComputeContext, dask_cluster
from artdetect.core import installing
from artdetect.core.errors import ComputeError

if TYPE_CHECKING:
    from prefect_dask import DaskTaskRunner


def results(task: Task[..., Any], calls: Iterable[tuple[Any, ...]], context: ComputeContext) -> Iterator[Any]:
    """Run a task once per call, and give the results in order: one by one in this process, in parallel on a cluster.

    On a cluster, `PREFETCH` calls per worker are submitted ahead; another worker repeats the calls of a killed one.

    Args:
        task: The task.
        calls: The arguments of each call.
        context: Who computes.

    Raises:
        ComputeError: The cluster is not available, or lost a call for good.
        Exception: Whatever a task raises.
    """
    if context.config.engine != "dask":
        yield from (task(*call) for call in calls)
        return
    running: deque[Any] = deque()
    with _runner(context) as runner, dask_cluster.translate_errors():
        workers = context.workers
        for call in calls:
            running.append(runner.submit(task, get_call_parameters(task.fn, call, {})))
            if len(running) >= PREFETCH * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


@contextmanager
def _runner(context: ComputeContext) -> "Iterator[DaskTaskRunner]":
    """Prefect's task runner on the cluster of `context`; its tasks report to the server of this flow run."""
    address = context.cluster.address
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise ComputeError(
            f"tasks on a cluster need prefect-dask, which is not installed: {installing.extra('cluster')}"
        ) from error
    with ExitStack() as stack:
        run = FlowRunContext.get()
        if run and not PREFECT_API_URL.value():  # a temporary server: otherwise each worker would start its own
            stack.enter_context(temporary_settings({PREFECT_API_URL: str(run.client.api_url)}))
        yield stack.enter_context(DaskTaskRunner(address=address))
