"""Waiting for what another thread, process or server does, however busy the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
PATIENCE = 180  # seconds, of which a quiet machine needs less than one


def awaited(read: Callable[[], Found], done: Callable[[Found], bool] = bool) -> Found:
    """What `read` gives as soon as it is `done`, or after `PATIENCE` seconds, whatever it is then."""
    until = time.monotonic() + PATIENCE
    while not done(found := read()) and time.monotonic() < until:
        time.sleep(0.1)
    return found
