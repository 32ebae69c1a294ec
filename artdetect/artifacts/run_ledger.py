"""The run ledger: one small file per run, `artifacts/runs/<time>-<id>.json`: how it ended, and the artifacts it used.

The time in a file's name is when the run was last of use: when it ended, or when `artdetect run` last found all of its
artifacts current. Garbage collection keeps what recent runs used, and removes the files of runs that nothing needs any
more. The Prometheus metrics describe the last runs. A run that found nothing to do takes the place of the one before
it that found nothing either, so that a flow that looks every five minutes does not fill the folder.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artdetect.artifacts.store import Artifact
from artdetect.core import atomic, paths
from artdetect.core.errors import ArtifactError

CLOCKS_AGREE = timedelta(minutes=5)  # as far as the clocks of machines that share a ledger may differ
MAX_READ = 10  # newest runs to search for one to refresh or to replace
State = Literal["completed", "failed", "crashed", "cancelled"]  # crashed: ended from outside, such as by a kill
STATES: tuple[State, ...] = get_args(State)
FAILURES: tuple[State, ...] = ("failed", "crashed")  # a run that a person cancelled neither succeeded nor failed
CANCELLED = "it was cancelled"  # the reason on record
_TIME_FORMAT = "%Y%m%dT%H%M%S%fZ"


class StageRecord(BaseModel):
    """One artifact that a run used."""

    model_config = ConfigDict(frozen=True)

    stage: str
    key: str
    ran: bool  # whether this run built it
    why: str
    seconds: float  # duration of the build, in this run or when it was built


class Run(BaseModel):
    """A finished run of a flow. Times are ISO 8601 with a zone, UTC."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=r"^[\w-]+$")
    flow: str
    name: str
    began: str
    ended: str
    state: State
    error: str | None = None
    stages: list[StageRecord]
    facts: dict[str, Any] = {}
    idle: bool = False  # whether it found nothing to do
    used: str | None = None  # when its artifacts were last found current again

    @property
    def last(self) -> datetime:
        """When the run was last of use, UTC."""
        return datetime.fromisoformat(self.used or self.ended).astimezone(UTC)

    @property
    def seconds(self) -> float:
        """How long the run took, in seconds."""
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.began)).total_seconds()

    @property
    def has_failed(self) -> bool:
        """Whether the run failed or crashed."""
        return self.state in FAILURES

    @property
    def artifacts(self) -> set[tuple[str, str]]:
        """(stage, key) of every artifact that the run used."""
        return {(use.stage, use.key) for use in self.stages}


def folder() -> Path:
    """The folder of the ledger."""
    return paths.artifacts() / "runs"


def file(run: Run) -> Path:
    """The file of a run in its present state."""
    return folder() / f"{run.last.strftime(_TIME_FORMAT)}-{run.id}.json"


def now() -> str:
    """The current time in the format of a run's fields."""
    return datetime.now(UTC).isoformat()


def moment(seconds: float) -> str:
    """A time in seconds since 1970 in the format of a run's fields."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def write(run: Run) -> Path:
    """Write a run to the ledger, replacing an earlier state of it; returns its file."""
    path = file(run)
    atomic.write(path, run.model_dump_json(indent=1))
    replaced = [*folder().glob(f"*Z-{run.id}.json"), *(_idle(run.flow) if run.idle else ())]
    for earlier in replaced:
        if earlier != path:
            earlier.unlink(missing_ok=True)
    return path


def has(run_id: str) -> bool:
    """Whether the run with this id has ended and is on record."""
    return next(folder().glob(f"*Z-{run_id}.json"), None) is not None


def read() -> list[Run]:
    """All runs, oldest first; files that cannot be read are skipped."""
    runs = []
    for path in _files():
        with suppress(ArtifactError):
            runs.append(_load(path))
    return runs


def read_all() -> list[Run]:
    """All runs, oldest first; ArtifactError if a file cannot be read. For code that removes what no run used."""
    return [_load(path) for path in _files()]


def latest(ledger: Iterable[Run]) -> dict[str, Run]:
    """Flow -> its run that ended last."""
    return {run.flow: run for run in sorted(ledger, key=lambda run: run.ended)}


def clock_problem(ledger: Iterable[Run]) -> str | None:
    """What to say if runs ended in the future by this machine's clock, so that the newest are not the last."""
    newest = max(ledger, key=lambda run: run.ended, default=None)
    if newest is None or datetime.fromisoformat(newest.ended) < datetime.now(UTC) + CLOCKS_AGREE:
        return None
    return (
        f"the clock says {now()[:16]}, but {newest.flow} {newest.name} ended at {newest.ended[:16]} (UTC): one of them "
        "is wrong. Until then that run counts as the last one. Set the clock right; `make up` plans the schedules anew"
    )


def refresh(artifacts: Sequence[Artifact], flow: str = "pipeline", name: str = "artdetect run") -> None:
    """Record that all these artifacts were found current, so that no flow had to run.

    Refreshes the newest run that used the same artifacts, or writes a new run. A disk that cannot be written to is no
    error.

    Args:
        artifacts: The artifacts that were found current.
        flow: The flow that would have built them.
        name: The name of a new run.
    """
    same = {(artifact.stage, artifact.key) for artifact in artifacts}
    with suppress(OSError):
        for path in reversed(_newest()):
            with suppress(ArtifactError):
                if (run := _load(path)).state == "completed" and run.flow == flow and run.artifacts == same:
                    write(run.model_copy(update={"used": now()}))
                    return
        uses = [
            StageRecord(
                stage=artifact.stage,
                key=artifact.key,
                ran=False,
                why="nothing changed",
                seconds=artifact.record["seconds"],
            )
            for artifact in artifacts
        ]
        time = now()
        write(Run(id=uuid4().hex, flow=flow, name=name, began=time, ended=time, state="completed", stages=uses))


def _idle(flow: str) -> Iterator[Path]:
    """Those of the newest files that are of runs of this flow that found nothing to do."""
    for path in _newest():
        with suppress(ArtifactError):
            if (run := _load(path)).idle and run.flow == flow:
                yield path


def _newest() -> list[Path]:
    """The files of the newest runs; none of the future, which are there if the clock was set back."""
    until = datetime.now(UTC).strftime(_TIME_FORMAT)
    return [path for path in _files() if path.name.partition("-")[0] <= until][-MAX_READ:]


def _files() -> list[Path]:
    return sorted(folder().glob("[!.]*.json"))


def _load(path: Path) -> Run:
    try:
        return Run.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path}: another run has just replaced this file. Try again") from None
    except (OSError, ValidationError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{path}: not a file of the run ledger ({reason}). Delete it to go on without it") from None
