"""Per-picture work in chunks, over threads, processes or a cluster: the one place that knows how many and where.

Stages hand over a function of a chunk and get the results back in order, so that nothing they write depends on who did
the work. An engine is one method of `Crew`.
"""

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

WORKER_CHUNK = 32  # pictures that a worker takes at a time
WORKER_CHUNK_BYTES = 4 * 2**20  # … or so many bytes of what comes out
PREFETCH = 2  # chunks a worker that are under way or wait to be taken: bounds memory, keeps workers busy


class ComputeConfig(Section):
    """Section `compute`: who does the per-picture work. It shapes no output and so enters no key."""

    engine: Literal["threads", "processes", "dask"] = Field(
        "threads", description="threads share memory and start at once; dask works on a cluster"
    )
    workers: int | None = Field(
        None, ge=1, le=1024, description="the processors at hand, or the cluster's threads, if left out"
    )
    address: str | None = Field(
        None,
        pattern=r"^[a-z]+://\S+:\d+$",
        description='of a Dask scheduler, "tcp://host:8786"; a cluster on this machine if left out',
    )

    @model_validator(mode="after")
    def _address_of_a_cluster(self) -> Self:
        if self.address and self.engine != "dask":
            raise ValueError(f'an address is of a Dask scheduler: set engine = "dask" with it, not "{self.engine}"')
        return self


class ComputeContext:
    """Who works in a context, from `use` on. As a context manager, it ends the cluster that it started."""

    def __init__(self, config: ComputeConfig):
        self.config = config
        self._before: ComputeContext | None = None
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
        if _CREW.get() is self:
            _CREW.set(self._before or _DEFAULT)
        if self._cluster:
            self._cluster.close()
            self._cluster = None

    @property
    def cluster(self) -> "Cluster":
        """The Dask cluster, started or connected to when it is first needed; ComputeError where that fails."""
        from artdetect.compute.dask_cluster import Cluster

        with self._starting:
            if self._cluster is None:
                workers = self.config.workers or processors()
                self._cluster = Cluster(self.config.address, workers, max(1, processors() // workers))
            return self._cluster

    @property
    def workers(self) -> int:
        """How many chunks are worked on at a time; ComputeError where a cluster has no workers."""
        return self.config.workers or (self.cluster.threads if self.config.address else processors())

    def hands(self) -> tuple[Executor, int, AbstractContextManager[None]]:
        """Who takes chunks, how many at a time, and what says in words that one of them was lost."""
        workers = self.workers
        if self.config.engine == "threads":
            return ThreadPoolExecutor(workers, thread_name_prefix="artdetect"), workers, nullcontext()
        if self.config.engine == "processes":
            # Started afresh rather than forked: a fork of a process that runs TensorFlow or Prefect can hang.
            return ProcessPoolExecutor(workers, mp_context=get_context("spawn")), workers, nullcontext()
        from artdetect.compute.dask_cluster import translate_errors

        return self.cluster.executor(), workers, translate_errors()


_DEFAULT = ComputeContext(ComputeConfig())
_CREW: ContextVar[ComputeContext] = ContextVar("crew", default=_DEFAULT)


def use_compute(config: ComputeConfig) -> ComputeContext:
    """Choose who works for this context (a flow run, a command) from now on, or `with` it, until the block ends.

    Chosen again, the same go on. A cluster that was started without a block ends with the process.
    """
    before = _CREW.get()
    if before.config == config and before is not _DEFAULT:
        return before
    crew = ComputeContext(config)
    crew._before = before
    _CREW.set(crew)
    return crew


def chunks(work: Callable[[tuple[T, ...]], R], items: Iterable[T], size: int) -> Iterator[tuple[tuple[T, ...], R]]:
    """Each chunk of `size` items with `work(chunk)`, in order; the last chunk may be smaller.

    Items are taken as work proceeds, `AHEAD` chunks a worker. `work` must be a module's function or a `partial` of one,
    since another process may have to import it.

    Raises:
        ComputeError: a worker process died, or a cluster is not there, has no workers or lost a chunk for good.
        Exception: whatever `work` raises, once the chunks before are handed out; chunks behind it may have run.
    """
    running: deque[tuple[tuple[T, ...], Future[R]]] = deque()
    remaining = iter(items)
    executor, workers, words = _CREW.get().hands()
    try:
        with words:
            while chunk := tuple(islice(remaining, size)):
                running.append((chunk, executor.submit(work, chunk)))
                if len(running) >= PREFETCH * workers:
                    yield _oldest(running)
            while running:
                yield _oldest(running)
    except BrokenExecutor as error:
        raise ComputeError(
            "a worker process died, perhaps for want of memory: run again to go on, with fewer compute.workers"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _oldest(running: deque[tuple[tuple[T, ...], Future[R]]]) -> tuple[tuple[T, ...], R]:
    chunk, future = running.popleft()
    return chunk, future.result()
