"""Progress of a long stage: in the log, and as a Prefect progress artifact on the run's page."""

import time
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger


class Progress:
    """Shows how far a stage is, at most every few seconds; quiet about work that is over by then."""

    def __init__(self, stage: str, every: float = 5.0) -> None:
        self.stage = stage
        self.every = every
        self._artifact: UUID | None = None
        self._shown = time.monotonic()

    def log(self, done: float, total: float | None, what: str) -> None:
        """Show `done` of `total`; `total` is None where it is not known."""
        if self._due():
            share = f"{100 * done / total:.0f} %" if total else f"{done:.0f}"
            get_run_logger().info("%s: %s, %s", self.stage, what, share)
            self._publish(done, total, what)

    def show(self, done: float, total: float, what: str) -> None:
        """The same as an artifact only."""
        if self._due():
            self._publish(done, total, what)

    def _due(self) -> bool:
        due = time.monotonic() - self._shown >= self.every
        self._shown = time.monotonic() if due else self._shown
        return due

    def _publish(self, done: float, total: float | None, what: str) -> None:
        share = 100 * done / total if total else 0.0
        if self._artifact is None:
            made = create_progress_artifact(progress=share, key=self.stage, description=what)
            self._artifact = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self._artifact, progress=share)
