"""Progress of a long stage: in the log at every tenth, and as a Prefect progress artifact on the run's page."""

from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger


class Progress:
    """Shows how far a stage is. Quiet about work that is over at once."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._artifact: UUID | None = None
        self._tenth = 0

    def show(
        self, done: float, total: float | None, what: str, *, unit: str = "", scale: float = 1.0, log: bool = True
    ) -> None:
        """`done` of `total` (None where not known), counted in `unit` after division by `scale`."""
        if not total:
            return
        tenth = int(10 * done / total)
        if tenth <= self._tenth and done:
            return
        self._tenth = tenth
        if log:
            get_run_logger().info("%s: %s, %.0f of %.0f %s", self.stage, what, done / scale, total / scale, unit)
        if self._artifact is None:
            made = create_progress_artifact(progress=100 * done / total, key=self.stage, description=what)
            self._artifact = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self._artifact, progress=100 * done / total)
