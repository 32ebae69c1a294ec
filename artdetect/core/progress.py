"""The types of the callbacks that report the progress of long work."""

from collections.abc import Callable

Count = Callable[[int, int], None]  # done, total
Progress = Callable[[int, int, str], None]  # done, total, of what
ByteProgress = Callable[[int, int | None, str], None]  # bytes done, total bytes if known, current activity


def with_label(progress: Progress | None, what: str) -> Count:
    """A callback that passes its counts of `what` on to `progress`, if that is given."""
    return lambda done, total: progress(done, total, what) if progress else None


def no_progress(done_bytes: int, total_bytes: int | None, what: str) -> None:
    """A `ByteProgress` that ignores its calls.

    Args:
        done_bytes: Bytes done.
        total_bytes: Bytes in total; None if unknown.
        what: The current activity.
    """
