"""The run ledger: `artifacts/runs/<time>-<id>.json`, one small file a flow run, saying which artifacts it used.

The time in a file's name is when the run was last of use: its end, or when `artdetect run` found all of it current
again. Garbage collection keeps what recent runs used, and removes the files of runs that nothing needs any more; the
metrics tell of the last ones.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artdetect.artifacts.store import Artifact
from artdetect.core import atomic, paths
from artdetect.core.errors import ArtifactError

MAX_READ = 10  # of the newest runs, to find one that used the same artifacts
_NAMED = "%Y%m%dT%H%M%S%fZ"


class StageRecord(BaseModel):
    """One artifact that a run used."""

    model_config = ConfigDict(frozen=True)

    stage: str
    key: str
    ran: bool  # built by this run
    why: str
    seconds: float  # of the build, now or when it was built


class Run(BaseModel):
    """A finished flow run. Times are ISO 8601 with a zone, UTC."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=r"^[\w-]+$")
    flow: str
    name: str
    began: str
    ended: str
    state: Literal["completed", "failed"]
    error: str | None = None
    stages: list[StageRecord]
    facts: dict[str, Any] = {}
    used: str | None = None  # when all of it was last found current again

    @property
    def last(self) -> datetime:
        """When it was last of use."""
        return datetime.fromisoformat(self.used or self.ended).astimezone(UTC)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.began)).total_seconds()

    @property
    def artifacts(self) -> set[tuple[str, str]]:
        """(stage, key) of all that it used."""
        return {(use.stage, use.key) for use in self.stages}


def folder() -> Path:
    """Where the ledger is."""
    return paths.artifacts() / "runs"


def file(run: Run) -> Path:
    """Where this state of a run is in the ledger."""
    return folder() / f"{run.last.strftime(_NAMED)}-{run.id}.json"


def now() -> str:
    """The time as a run has it."""
    return datetime.now(UTC).isoformat()


def write(run: Run) -> Path:
    """Add a run to the ledger, in place of an earlier state of it; its file."""
    path = file(run)
    atomic.write(path, run.model_dump_json(indent=1))
    for earlier in folder().glob(f"*Z-{run.id}.json"):
        if earlier != path:
            earlier.unlink(missing_ok=True)
    return path


def read() -> list[Run]:
    """All runs, those of longest ago first; files that cannot be read are left out."""
    found = []
    for path in _files():
        with suppress(ArtifactError):
            found.append(_load(path))
    return found


def read_all() -> list[Run]:
    """As `read`, but ArtifactError where a file cannot be read: for who removes what no run used."""
    return [_load(path) for path in _files()]


def latest(ledger: Iterable[Run]) -> dict[str, Run]:
    """Of each flow the run that ended last."""
    return {run.flow: run for run in sorted(ledger, key=lambda run: run.ended)}


def refresh(artifacts: Sequence[Artifact], flow: str = "pipeline", name: str = "artdetect run") -> None:
    """Note that all of these were found current and used: a run that needed no flow.

    The newest run that used the same is refreshed, or else one written. A disk that takes no note fails no run.
    """
    same = {(artifact.stage, artifact.key) for artifact in artifacts}
    with suppress(OSError):
        for path in reversed(_files()[-MAX_READ:]):
            with suppress(ArtifactError):
                if (run := _load(path)).state == "completed" and run.flow == flow and run.artifacts == same:
                    write(run.model_copy(update={"used": now()}))
                    return
        uses = [
            StageRecord(
                stage=made.stage, key=made.key, ran=False, why="nothing changed", seconds=made.record["seconds"]
            )
            for made in artifacts
        ]
        time = now()
        write(Run(id=uuid4().hex, flow=flow, name=name, began=time, ended=time, state="completed", stages=uses))


def _files() -> list[Path]:
    return sorted(folder().glob("[!.]*.json"))


def _load(path: Path) -> Run:
    try:
        return Run.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path}: it has just gone: another run replaced it. Try again") from None
    except (OSError, ValidationError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{path}: not a file of the run ledger ({reason}). Delete it to go on without it") from None
