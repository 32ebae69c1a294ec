"""Per-picture work in chunks, on threads, processes or a cluster: the one place that knows how many and where.

Stages pass a function of a chunk and get the results in order, so that nothing they write depends on where the work was
done. `ComputeContext.executor` chooses the engine.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from pydantic import Field, model_validator

from artdetect.compute.processors import processors
from artdetect.core.config_section import Section
from artdetect.core.errors import ComputeError

if TYPE_CHECKING:
    from artdetect.compute.dask_cluster import Cluster

T = TypeVar("T")
R = TypeVar("R")

WORKER_CHUNK = 32  # pictures per task of a worker
WORKER_CHUNK_BYTES = 4 * 2**20  # … or so many bytes of output
PREFETCH = 2  # chunks per worker that are running or waiting to be consumed: bounds memory, keeps workers busy


class ComputeConfig(Section):
    """Section `compute`: where per-picture work runs. It does not affect outputs, so it is in no cache key."""

    engine: Literal["threads", "processes", "dask"] = Field(
        "threads", description="threads share memory and start at once; dask uses a cluster"
    )
    workers: int | None = Field(
        None, ge=1, le=1024, description="number of workers; all processors, or all threads of the cluster, if left out"
    )
    address: str | None = Field(
        None,
        pattern=r"^[a-z]+://\S+:\d+$",
        description='address of a Dask scheduler, "tcp://host:8786"; a cluster on this machine if left out',
    )

    @model_validator(mode="after")
    def _address_of_a_cluster(self) -> Self:
        if self.address and self.engine != "dask":
            raise ValueError(f'it is the address of a Dask scheduler: set engine = "dask" with it, not "{self.engine}"')
        return self


class ComputeContext:
    """Where work runs, once `use_compute` has chosen it. As a context manager, it closes the cluster it started."""

    def __init__(self, config: ComputeConfig):
        self.config = config
        self._outer: ComputeContext | None = None
        self._blocks = 0
        self._cluster: Cluster | None = None
        self._starting = threading.Lock()

    def __enter__(self) -> "ComputeContext":
        self._blocks += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._blocks -= 1
        if self._blocks:
            return
        if _CONTEXT.get() is self:
            _CONTEXT.set(self._outer or _DEFAULT)
        if self._cluster:
            self._cluster.close()
            self._cluster = None

    @property
    def cluster(self) -> "Cluster":
        """The Dask cluster, started or connected to when it is first needed; ComputeError if that fails."""
        from artdetect.compute.dask_cluster import Cluster

        with self._starting:
            if self._cluster is None:
                workers = self.config.workers or processors()
                self._cluster = Cluster(self.config.address, workers, max(1, processors() // workers))
            return self._cluster

    @property
    def workers(self) -> int:
        """How many chunks run at a time; ComputeError if a cluster has no workers."""
        return self.config.workers or (self.cluster.threads if self.config.address else processors())

    def executor(self) -> tuple[Executor, int, AbstractContextManager[None]]:
        """The executor, how many chunks it runs at a time, and a context that translates its errors."""
        workers = self.workers
        if self.config.engine == "threads":
            return ThreadPoolExecutor(workers, thread_name_prefix="artdetect"), workers, nullcontext()
        if self.config.engine == "processes":
            # Spawned, not forked: a fork of a process that runs TensorFlow or Prefect can hang.
            # A terminal sends Ctrl-C to them, too; this process ends them.
            ignored = signal.SIGINT, signal.SIG_IGN
            return ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, ignored), workers, nullcontext()
        from artdetect.compute.dask_cluster import translate_errors

        return self.cluster.executor(), workers, translate_errors()


_DEFAULT = ComputeContext(ComputeConfig())
_CONTEXT: ContextVar[ComputeContext] = ContextVar("compute", default=_DEFAULT)


def use_compute(config: ComputeConfig) -> ComputeContext:
    """Choose where work runs in this context (a flow run, a command) from now on, or in a `with` block until it ends.

    The same config again continues the same context. A cluster that was started outside a block ends with the process.
    """
    current = _CONTEXT.get()
    if current.config == config and current is not _DEFAULT:
        return current
    context = ComputeContext(config)
    context._outer = current
    _CONTEXT.set(context)
    return context


def chunks(work: Callable[[tuple[T, ...]], R], items: Iterable[T], size: int) -> Iterator[tuple[tuple[T, ...], R]]:
    """Yield each chunk of items with `work(chunk)`, in order.

    Items are consumed as the work proceeds, `PREFETCH` chunks per worker ahead.

    Args:
        work: A module's function, or a `partial` of one, because another process may have to import it.
        items: The items.
        size: Items per chunk; the last chunk may be smaller.

    Raises:
        ComputeError: A worker process died, or a cluster is not available, has no workers or lost a chunk for good.
        Exception: Whatever `work` raises, once the earlier chunks are consumed; later chunks may have run already.
    """
    running: deque[tuple[tuple[T, ...], Future[R]]] = deque()
    remaining = iter(items)
    executor, workers, translate_errors = _CONTEXT.get().executor()
    try:
        with translate_errors:
            while chunk := tuple(islice(remaining, size)):
                running.append((chunk, executor.submit(work, chunk)))
                if len(running) >= PREFETCH * workers:
                    yield _oldest(running)
            while running:
                yield _oldest(running)
    except BrokenExecutor as error:
        raise ComputeError(
            "a worker process died, perhaps for lack of memory: run again to resume, with fewer compute.workers"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _oldest(running: deque[tuple[tuple[T, ...], Future[R]]]) -> tuple[tuple[T, ...], R]:
    chunk, future = running.popleft()
    return chunk, future.result()
