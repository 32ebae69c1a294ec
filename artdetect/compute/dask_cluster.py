"""A Dask cluster as an engine of `compute`: one on this machine for a run, or one that is there already.

A worker that dies costs the chunk it had: Dask starts it again and has the chunk done once more. Every chunk goes with
the digests of the code and the versions of the packages that it is meant for, and a worker with others refuses it.
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
from artdetect.compute import processors
from artdetect.core import digests
from artdetect.core.errors import ComputeError

if TYPE_CHECKING:
    import distributed

R = TypeVar("R")

INSTALL = "pip install 'artdetect[cluster]'"
CONNECT_TIMEOUT = 10  # seconds in which a scheduler must answer
PACKAGES = tuple(sorted({package for stage in CHAIN for package in stage.packages}))


class Cluster:
    """A connection to a cluster; `close` ends it, and with it a cluster that was started here.

    Args:
        address: Of its scheduler, "tcp://host:8786"; None = start one on this machine.
        workers: Worker processes to start on this machine, 1 or more, one thread each.
        share: Processors that each of those may take as its own.

    Raises:
        ComputeError: Dask is not installed, or the scheduler does not answer.
    """

    def __init__(self, address: str | None, workers: int, share: int):
        try:
            import distributed
        except ImportError as error:
            raise ComputeError(f'engine = "dask" needs packages that are not installed ({error}): {INSTALL}') from error
        with ExitStack() as stack:
            stack.enter_context(translate_errors(address))
            place = address or stack.enter_context(_local(workers, share))
            self.client = stack.enter_context(distributed.Client(place, timeout=CONNECT_TIMEOUT, set_as_default=False))
            self._stack = stack.pop_all()

    @property
    def address(self) -> str:
        """Of its scheduler."""
        return str(self.client.scheduler.address)

    @property
    def threads(self) -> int:
        """Chunks that its workers do at a time, now; ComputeError where it has none."""
        threads = sum(self.client.nthreads().values())
        if not threads:
            raise ComputeError(
                f"{self.address}: this Dask cluster has no workers: start some with `dask worker {self.address}`, or "
                "say with compute.workers how many it will have, where it starts them as they are needed"
            )
        return threads

    def executor(self) -> Executor:
        """Its workers; shut down, it forgets what they have to do for it and leaves them."""
        return _Workers(self.client)

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._stack.close()


@contextmanager
def translate_errors(address: str | None = None) -> Iterator[None]:
    """Says in one line what Dask says of lost chunks and schedulers; `address` while connecting to one."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    try:
        yield
    except KilledWorker as error:
        raise ComputeError(
            f"a chunk of pictures killed {error.allowed_failures + 1} workers, one after the other, perhaps for want "
            "of memory: run again to go on, with fewer compute.workers or more memory each"
        ) from error
    except (FutureCancelledError, CommClosedError) as error:
        raise ComputeError(f"the Dask scheduler is gone ({error}): start it and run again to go on") from error
    except OSError as error:
        if address is None:
            raise
        raise ComputeError(
            f"compute.address {address}: no Dask scheduler answers ({error}): start it with `dask scheduler`, or leave "
            "the address out for workers on this machine"
        ) from error


@contextmanager
def _local(workers: int, share: int) -> Iterator[distributed.LocalCluster]:
    """Processes that are started afresh, since a fork of a process that runs TensorFlow can hang."""
    import dask
    from distributed import LocalCluster

    # TensorFlow keeps as many threads as in this process: thus its gradients were seen to be the same bits.
    limits = dict.fromkeys((processors.VARIABLE, "OMP_NUM_THREADS"), str(share))
    settings = {"distributed.worker.multiprocessing-method": "spawn"}
    with (
        tempfile.TemporaryDirectory(prefix="artdetect-dask-", ignore_cleanup_errors=True) as scratch,
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=None,  # chunks are small, and a worker that Dask holds back for its models would wait for ever
            dashboard_address="127.0.0.1:0",  # a free port
            local_directory=scratch,
            env=limits,
        ) as cluster,
    ):
        yield cluster


class _Workers(Executor):
    def __init__(self, client: distributed.Client):
        self._client = client

    def submit(self, work: Callable[..., R], /, *args: Any, **kwargs: Any) -> Any:
        """Dask's own future, which takes the work back when it is let go of."""
        module = work.func.__module__ if isinstance(work, partial) else work.__module__
        return self._client.submit(partial(_checked, work, module, environment(module)), *args, **kwargs, pure=False)


def _checked(work: Callable[..., R], module: str, expected: Mapping[str, str], *args: Any) -> R:
    """A worker's part: the work, if it is what was meant."""
    check_environment(module, expected)
    return work(*args)


@cache
def environment(module: str) -> Mapping[str, str]:
    """The digests of the code that a module of this project runs, and the versions of the packages, here."""
    code = digests.code_digests(module) if module.startswith("artdetect.") else {}
    return code | digests.versions(PACKAGES)


def check_environment(module: str, expected: Mapping[str, str]) -> None:
    """ComputeError where `made_of` is not as `expected`."""
    found = environment(module)
    if changed := sorted(name for name in {**expected, **found} if expected.get(name) != found.get(name)):
        raise ComputeError(
            f"worker on {platform.node()}: {', '.join(changed[:3])} differ from what this run is made of, so that its "
            "results would not be the same: install the same code and packages there and start it again"
        )
