"""Per-picture work in chunks, over this machine's threads or processes: the one place that knows how many and where.

Stages hand over a function of a chunk and get the results back in order, so that nothing they write depends on who did
the work. An engine is one entry in `_EXECUTORS`.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import ContextVar
from itertools import islice
from multiprocessing import get_context
from typing import Literal, TypeVar

from pydantic import Field

from artdetect.errors import ComputeError
from artdetect.section import Section

T = TypeVar("T")
R = TypeVar("R")

PIECE = 32  # pictures that a worker takes at a time
PIECE_BYTES = 4 * 2**20  # … or so many bytes of what comes out
AHEAD = 2  # chunks a worker that are under way or wait to be taken: bounds memory, keeps workers busy


class ComputeConfig(Section):
    """Section `compute`: who does the per-picture work. It shapes no output and so enters no key."""

    engine: Literal["threads", "processes"] = Field("threads", description="threads share memory and start at once")
    workers: int | None = Field(None, ge=1, le=1024, description="the processors at hand if left out")


_DEFAULT = ComputeConfig()
_CONFIG: ContextVar[ComputeConfig] = ContextVar("compute", default=_DEFAULT)

_EXECUTORS: dict[str, Callable[[int], Executor]] = {
    "threads": lambda workers: ThreadPoolExecutor(workers, thread_name_prefix="artdetect"),
    # Started afresh rather than forked: a fork of a process that runs TensorFlow or Prefect can hang.
    "processes": lambda workers: ProcessPoolExecutor(workers, mp_context=get_context("spawn")),
}


def use(config: ComputeConfig) -> None:
    """Choose who works for this context (a flow run, a command) from now on."""
    _CONFIG.set(config)


def chunks(work: Callable[[tuple[T, ...]], R], items: Iterable[T], size: int) -> Iterator[tuple[tuple[T, ...], R]]:
    """Each chunk of `size` items with `work(chunk)`, in order; the last chunk may be smaller.

    Items are taken as work proceeds, `AHEAD` chunks a worker. `work` must be a module's function or a `partial` of one,
    since a process may have to import it.

    Raises:
        ComputeError: a worker process died.
        Exception: whatever `work` raises, once the chunks before are handed out; chunks behind it may have run.
    """
    config = _CONFIG.get()
    workers = config.workers or processors()
    running: deque[tuple[tuple[T, ...], Future[R]]] = deque()
    remaining = iter(items)
    executor = _EXECUTORS[config.engine](workers)
    try:
        while chunk := tuple(islice(remaining, size)):
            running.append((chunk, executor.submit(work, chunk)))
            if len(running) >= AHEAD * workers:
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


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
