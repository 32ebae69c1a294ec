"""Prefect's transaction locks with flock(2): the kernel frees them when their holder dies, also by kill -9.

Prefect's own file locks never expire, so that after a kill the next run would wait forever.
"""

from typing import Any

from filelock import FileLock, Timeout
from prefect.locking.protocol import LockManager
from prefect.logging import get_run_logger

from artdetect.artifacts import store


class NoArtifactError(Exception):
    """Prefect tried to store something that is no artifact's cache record, such as the error of a failed stage."""


class FlockLockManager(LockManager):
    """One lock per artifact, held by its builder; keys are `<stage>/<key>/<entry>`."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, FileLock]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "FlockLockManager":
        return self  # the locks belong to the process, not to a copy of a task

    def _lock(self, key: str) -> FileLock:
        if key.count("/") != 2:
            raise NoArtifactError(f"{key} names no artifact")
        stage, name, _ = key.split("/")
        return FileLock(store.lock_file(stage, name), thread_local=False)

    def acquire_lock(
        self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None
    ) -> bool:
        if self.is_lock_holder(key, holder):
            return True
        lock = self._lock(key)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            get_run_logger().info("%s: another run is building it, waiting", key.split("/")[0])
            try:
                lock.acquire(timeout=-1 if acquire_timeout is None else acquire_timeout)
            except Timeout:
                return False
        self._held[key] = holder, lock
        return True

    async def aacquire_lock(
        self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None
    ) -> bool:
        from anyio import to_thread

        return await to_thread.run_sync(self.acquire_lock, key, holder, acquire_timeout, hold_timeout)

    def release_lock(self, key: str, holder: str) -> None:
        if self.is_lock_holder(key, holder):
            self._held.pop(key)[1].release()

    def is_locked(self, key: str) -> bool:
        if key in self._held:
            return True
        return not self._try(key, timeout=0)

    def is_lock_holder(self, key: str, holder: str) -> bool:
        return self._held.get(key, ("", None))[0] == holder

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        return self._try(key, -1 if timeout is None else timeout)

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        from anyio import to_thread

        return await to_thread.run_sync(self.wait_for_lock, key, timeout)

    def _try(self, key: str, timeout: float) -> bool:
        lock = self._lock(key)
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            return False
        lock.release()
        return True
