"""Ctrl-C, also where it meets code that cannot raise."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.artifacts import run_ledger
from artdetect.core import interrupts
from artdetect.monitoring.recorded_run import recorded


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Presses:
    """Something whose destructor meets a Ctrl-C, which Python then swallows."""

    def __del__(self) -> None:
        press()


def swallowed() -> None:
    Presses()
    assert interrupts.came()
    interrupts.check()


def an_error_of_it() -> None:
    try:
        press()
    except KeyboardInterrupt:
        raise ValueError("a worker has died") from None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("meets", [press, swallowed, an_error_of_it], ids=lambda one: one.__name__)
def test_it_ends_the_run_as_cancelled(meets: Callable[[], None], roots: Path) -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.noticed(), recorded("a", "pipeline", "a"):
        meets()
    assert [run.state for run in run_ledger.read()] == ["cancelled"]
    interrupts.check()


def no() -> None:
    raise ValueError("no")


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(ValueError, match="no"), interrupts.noticed():
        no()


def test_it_is_left_alone_where_it_is_ignored_and_in_threads() -> None:
    def context() -> None:
        before = signal.getsignal(signal.SIGINT)
        with interrupts.noticed():
            assert signal.getsignal(signal.SIGINT) is before

    (thread := threading.Thread(target=context)).start()
    thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        context()
    finally:
        signal.signal(signal.SIGINT, before)
