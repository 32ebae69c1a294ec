"""Who is using an artifact: a shared flock(2) a run and artifact, which the kernel frees when its holder dies.

A run claims an artifact before it looks whether there is one, and holds the claim until it ends. Whoever removes
artifacts takes the lock alone, beside the builder's (`store.lock_file`): what is built or in use stays.
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
    """The artifacts that a run uses; given back by `release`, or when this object or its process dies."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], int] = {}
        weakref.finalize(self, _close, self._held)

    def claim(self, stage: str, key: str) -> None:
        """Keep this artifact from being removed, whether it exists yet or not; waits while it is being removed."""
        if (stage, key) not in self._held:
            self._held[stage, key] = _locked(use_file(stage, key), fcntl.LOCK_SH)

    def release(self) -> None:
        """Give all of them back."""
        _close(self._held)


def use_file(stage: str, key: str) -> Path:
    """The file whose lock the users of this artifact share."""
    return store.lock_file(stage, key).with_suffix(".use")


@contextmanager
def exclusive(stage: str, key: str) -> Iterator[bool]:
    """Whether nobody builds or uses this artifact; if so, nobody does until the block ends."""
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
    """Remove the lock files of an artifact that is gone, within `alone`: who waits for one then takes a new one."""
    use_file(stage, key).unlink(missing_ok=True)
    store.lock_file(stage, key).unlink(missing_ok=True)


def _locked(path: Path, how: int) -> int:
    """A descriptor of the file, locked; of the one that bears the name, should another be removed meanwhile."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, how)
        except BaseException:
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def _close(held: dict[tuple[str, str], int]) -> None:
    while held:
        os.close(held.popitem()[1])
