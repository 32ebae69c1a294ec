"""A Dask cluster as an engine of `compute`: a local one for a run, or one that exists already.

If a worker dies, Dask restarts it and repeats the chunk. Every chunk carries the digests of the code and the versions
of the packages that the run uses, and a worker that has others refuses it.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from artdetect.artifacts.stages import CHAIN
from artdetect.compute.processors import VARIABLE
from artdetect.core import digests, installing, interrupts
from artdetect.core.errors import ComputeError

if TYPE_CHECKING:
    import distributed

R = TypeVar("R")

CONNECT_TIMEOUT = 10  # seconds in which a scheduler must answer
PACKAGES = tuple(sorted({package for stage in CHAIN for package in stage.packages}))


class Cluster:
    """A connection to a cluster; `close` ends it, and stops a cluster that was started here.

    Args:
        address: Address of the scheduler, such as "tcp://host:8786"; None = start a cluster on this machine.
        workers: Number of worker processes to start on this machine, 1 or more, one thread each.
        share: Processors that each of these processes may use.

    Raises:
        ComputeError: Dask is not installed, or the scheduler does not answer.
    """

    def __init__(self, address: str | None, workers: int, share: int):
        try:
            import distributed
        except ImportError as error:
            install = installing.extra("cluster")
            raise ComputeError(f'engine = "dask" needs packages that are not installed ({error}): {install}') from error
        with ExitStack() as stack:
            stack.enter_context(translate_errors(address))
            scheduler = address or stack.enter_context(_local(workers, share))
            self.client = stack.enter_context(
                distributed.Client(scheduler, timeout=CONNECT_TIMEOUT, set_as_default=False)
            )
            self._stack = stack.pop_all()

    @property
    def address(self) -> str:
        """The address of the scheduler."""
        return str(self.client.scheduler.address)

    @property
    def threads(self) -> int:
        """How many chunks the workers run at a time at present; ComputeError if there are no workers."""
        threads = sum(self.client.nthreads().values())
        if not threads:
            raise ComputeError(
                f"{self.address}: this Dask cluster has no workers: start some with `dask worker {self.address}`, or "
                "set compute.workers to the number it will have if it starts them on demand"
            )
        return threads

    def executor(self) -> Executor:
        """An executor on the workers; its shutdown cancels its work and leaves the workers running."""
        return _Workers(self.client)

    def close(self) -> None:
        """Disconnect; stops a cluster that was started here."""
        self._stack.close()


@contextmanager
def translate_errors(address: str | None = None) -> Iterator[None]:
    """Turn Dask's errors about lost chunks and schedulers into a ComputeError; `address` is given while connecting."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    try:
        yield
    except KilledWorker as error:
        raise ComputeError(
            f"a chunk of pictures killed {error.allowed_failures + 1} workers, one after the other, perhaps for lack "
            "of memory: run again to resume, with fewer compute.workers or more memory each"
        ) from error
    except (FutureCancelledError, CommClosedError) as error:
        raise ComputeError(f"the Dask scheduler is gone ({error}): start it and run again to resume") from error
    except OSError as error:
        if address is None:
            raise
        raise ComputeError(
            f"compute.address {address}: no Dask scheduler answers ({error}): start it with `dask scheduler`, or omit "
            "the address to use workers on this machine"
        ) from error


@contextmanager
def _local(workers: int, share: int) -> Iterator[distributed.LocalCluster]:
    """Spawned worker processes, because a fork of a process that runs TensorFlow can hang."""
    import dask
    from distributed import LocalCluster

    # TensorFlow uses as many threads as in this process: then its gradients came out bit-identical.
    limits = dict.fromkeys((VARIABLE, "OMP_NUM_THREADS"), str(share))
    settings = {"distributed.worker.multiprocessing-method": "spawn"}
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="artdetect-dask-", ignore_cleanup_errors=True))
        stack.enter_context(dask.config.set(settings))
        with interrupts.kept_from_children():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=None,  # chunks are small, and a worker that Dask pauses for its models would wait forever
                dashboard_address="127.0.0.1:0",  # a free port
                local_directory=scratch,
                env=limits,
            )
        yield stack.enter_context(cluster)


class _Workers(Executor):
    def __init__(self, client: distributed.Client):
        self._client = client

    def submit(self, work: Callable[..., R], /, *args: Any, **kwargs: Any) -> Any:
        """Submit work; Dask cancels it when the returned future is released."""
        module = work.func.__module__ if isinstance(work, partial) else work.__module__
        return self._client.submit(partial(_checked, work, module, environment(module)), *args, **kwargs, pure=False)


def _checked(work: Callable[..., R], module: str, expected: Mapping[str, str], *args: Any) -> R:
    """Runs on a worker: does the work if the worker has the expected environment."""
    check_environment(module, expected)
    return work(*args)


@cache
def environment(module: str) -> Mapping[str, str]:
    """The digests of the code that a module runs, and the versions of the packages, on this machine."""
    code = digests.code_digests(module) if module.startswith("artdetect.") else {}
    return code | digests.versions(PACKAGES)


def check_environment(module: str, expected: Mapping[str, str]) -> None:
    """Raise ComputeError if the `environment` of a module is not the expected one."""
    found = environment(module)
    if changed := sorted(name for name in {**expected, **found} if expected.get(name) != found.get(name)):
        raise ComputeError(
            f"worker on {platform.node()}: {', '.join(changed[:3])} differ from this run's, so that its results would "
            "not be the same: install the same code and packages there and restart the worker"
        )
