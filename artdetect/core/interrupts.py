"""Ctrl-C, which ends a command also if the code that it met swallowed it, as Python does in destructors."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import NoReturn

_CAME = threading.Event()
_TOLD: list[Callable[[], None]] = []  # are called at each


@contextmanager
def noticed() -> Iterator[None]:
    """Notice a Ctrl-C in this context: whatever error it led to is a KeyboardInterrupt.

    Does nothing where Ctrl-C is ignored or someone else's, nor in threads, which get none.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _CAME.clear()
    signal.signal(signal.SIGINT, _notice)
    try:
        yield
    except Exception as error:
        if came():
            raise KeyboardInterrupt from error
        raise
    finally:
        _CAME.clear()
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def told(note: Callable[[], None]) -> Iterator[None]:
    """Call this at each Ctrl-C in this context that is noticed, first of all: native code may abort the process at it.

    Args:
        note: Does no more than a handler of signals may.
    """
    _TOLD.append(note)
    try:
        yield
    finally:
        _TOLD.remove(note)


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Processes and threads that are started in this context hear of no Ctrl-C, which a terminal sends to all.

    This process ends them. A Ctrl-C that comes meanwhile counts when the context ends.
    """
    resource_tracker.ensure_running()  # of multiprocessing, whose start would let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # they inherit the mask
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def came() -> bool:
    """Whether there was a Ctrl-C since `noticed` began."""
    return _CAME.is_set()


def check() -> None:
    """Raise KeyboardInterrupt if there was a Ctrl-C since `noticed` began."""
    if came():
        raise KeyboardInterrupt


def _notice(*_: object) -> NoReturn:
    _CAME.set()
    for note in _TOLD:
        note()
    raise KeyboardInterrupt
