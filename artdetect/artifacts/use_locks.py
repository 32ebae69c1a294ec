"""Who uses an artifact: one shared flock(2) per run and artifact, which the kernel frees when the run's process dies.

A run locks an artifact before it checks whether the artifact exists, and holds the lock until the run ends. Garbage
collection takes the same lock exclusively, and the builder's lock (`store.lock_file`), so that it removes nothing that
is being built or used.
"""

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from artdetect.artifacts import store


class UseLocks:
    """Locks on the artifacts that a run uses; freed by `release`, or when this object or its process dies."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], int] = {}
        weakref.finalize(self, _close, self._held)

    def acquire(self, stage: str, key: str) -> None:
        """Protect this artifact from removal, whether it exists yet or not; wait while it is being removed."""
        if (stage, key) not in self._held:
            self._held[stage, key] = _locked(use_file(stage, key), fcntl.LOCK_SH)

    def release(self) -> None:
        """Free all locks."""
        _close(self._held)


def use_file(stage: str, key: str) -> Path:
    """The file whose lock the users of this artifact share."""
    return store.lock_file(stage, key).with_suffix(".use")


@contextmanager
def exclusive(stage: str, key: str) -> Iterator[bool]:
    """Try to lock an artifact against builders and users until the block ends; yields whether that succeeded."""
    builder = FileLock(store.lock_file(stage, key), thread_local=False)
    try:
        builder.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        try:
            user = _locked(use_file(stage, key), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            os.close(user)
    finally:
        builder.release()


def forget(stage: str, key: str) -> None:
    """Remove the lock files of an artifact that is gone, inside `exclusive`; processes that wait take new files."""
    use_file(stage, key).unlink(missing_ok=True)
    store.lock_file(stage, key).unlink(missing_ok=True)


def _locked(path: Path, operation: int) -> int:
    """A locked descriptor of the file that has this name, even if another file was removed from there meanwhile."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, operation)
        except BaseException:
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def _close(descriptors: dict[tuple[str, str], int]) -> None:
    while descriptors:
        os.close(descriptors.popitem()[1])
