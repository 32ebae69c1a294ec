"""The progress of a long stage: a bar on a terminal, lines in a log file, a progress artifact on the dashboard."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger
from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.theme import Theme

from artdetect.core.errors import ServerError
from tasks.engine.connection import server_errors

DELAY = 1.0  # seconds of work before it is announced


@contextmanager
def activity(what: str) -> Iterator[None]:
    """Show on a terminal what is going on and for how long, once it has taken `DELAY` seconds.

    Args:
        what: The activity, such as the name of a stage. Bars of a `ProgressDisplay` stand below it.
    """
    console = _terminal()
    if console is None:
        yield
        return
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Bar(*columns, console=console, transient=True) as spinner:
        task = spinner.add_task(what, total=None, visible=False)
        timer = threading.Timer(DELAY, spinner.update, [task], {"visible": True})
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            console.pop_theme()


class ProgressDisplay:
    """Shows how far a stage is. A context manager: the bar disappears when it ends.

    Args:
        stage: The stage's name.
        every: Seconds between two updates of log and artifact. Work that is finished sooner is not reported.
    """

    def __init__(self, stage: str, every: float = 5.0) -> None:
        self.stage = stage
        self.every = every
        self._artifact: UUID | None = None
        self._lost = False  # whether the server stopped answering, which is no reason to end the work
        self._shown = time.monotonic()
        console = _terminal()
        self._bar = Bar(console=console, transient=True) if console else None

    def __enter__(self) -> "ProgressDisplay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
            self._bar.console.pop_theme()

    def log(self, done: float, total: float | None, what: str) -> None:
        """Show how far the work is: by the bar on a terminal, otherwise in the log; and on the dashboard.

        Args:
            done: How much is done.
            total: How much there is to do, in the same unit; None if unknown.
            what: What is counted, or the current activity.
        """
        if self._bar:
            self._draw(done, total, what)
        if self._due():
            if not self._bar:
                share = f"{100 * done / total:.0f} %" if total else f"{done:.0f}"
                get_run_logger().info("%s: %s, %s", self.stage, what, share)
            self._publish(done, total, what)

    def show(self, done: float, total: float, what: str) -> None:
        """Show how far the work is on the dashboard alone, by a progress artifact.

        Args:
            done: How much is done.
            total: How much there is to do, in the same unit.
            what: What is counted, or the current activity.
        """
        if self._due():
            self._publish(done, total, what)

    def _draw(self, done: float, total: float | None, what: str) -> None:
        assert self._bar
        description = f"{self.stage}: {what}"
        if not self._bar.tasks or self._bar.tasks[-1].description != description:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(description)
        self._bar.update(self._bar.task_ids[-1], completed=done, total=total)
        if total and done >= total:
            self._bar.stop()
        else:
            self._bar.start()  # does nothing if it is running

    def _due(self) -> bool:
        due = time.monotonic() - self._shown >= self.every
        self._shown = time.monotonic() if due else self._shown
        return due

    def _publish(self, done: float, total: float | None, what: str) -> None:
        if self._lost:
            return
        share = 100 * done / total if total else 0.0
        try:
            with server_errors():
                if self._artifact is None:
                    artifact = create_progress_artifact(progress=share, key=self.stage, description=what)
                    self._artifact = artifact if isinstance(artifact, UUID) else None
                else:
                    update_progress_artifact(self._artifact, progress=share)
        except ServerError as error:
            self._lost = True
            get_run_logger().warning("%s goes on, its progress is not shown: %s", self.stage, error)


def _terminal() -> Console | None:
    """The console of Prefect's log if that is a terminal; sharing it keeps log lines and the bar apart.

    None if the command is quiet, which leaves errors alone in the log.
    """
    if not logging.getLogger("prefect").isEnabledFor(logging.INFO):
        return None
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler) and handler.console.is_terminal:
            handler.console.push_theme(Theme())  # the colours of a bar, which Prefect's theme lacks
            return handler.console
    return None
