"""How far long work is, as whoever started it is told."""

from collections.abc import Callable

Count = Callable[[int, int], None]  # done, all
Progress = Callable[[int, int, str], None]  # done, all, of what


def with_label(progress: Progress | None, what: str) -> Count:
    """Tells `progress`, if there is one, of what it counts."""
    return lambda done, total: progress(done, total, what) if progress else None
