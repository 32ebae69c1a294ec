"""Artifacts on disk: `artifacts/<stage>/<key>/`, published whole or not at all, each with a record of how it was made.

A folder counts as an artifact only if it has a record and its outputs match that record. A record is covered by a
digest of its own, but for those of earlier versions. The journal beside the folders lists what the last builds were
made from, so that a later run can say what changed.

Two classes: `Artifact` is what stages hand to each other, a reference to an artifact whose outputs were checked;
`StoredArtifact` is a folder with its record as it was read, whose outputs may be damaged.
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from artdetect.artifacts.file_names import METRICS, RECORD
from artdetect.core import atomic, digests, host, paths
from artdetect.core.errors import ArtifactError

if TYPE_CHECKING:
    import pandas as pd

JOURNAL, OLDER_JOURNAL = "journal.jsonl", "journal-older.jsonl"  # of each stage, beside its artifacts
MAX_JOURNAL = 10**6  # bytes, some 200 builds
RECORD_FORMAT = 2  # from 2 on, `record_digest` covers the rest of the record
CACHE_ENTRY = "prefect.json"  # Prefect's cache record; it lives and dies with the folder
_REQUIRED_FIELDS = {"stage": str, "key": str, "digest": str, "parts": dict, "outputs": dict, "started": str}


class Artifact(BaseModel):
    """A reference to an artifact of this project: what made it (`key`) and what came out (`digest`).

    It holds no path, so that Prefect's cache entries, which contain it, survive a move of the project.
    """

    model_config = ConfigDict(frozen=True)

    stage: str
    key: str
    digest: str  # over the names and contents of the outputs

    @property
    def folder(self) -> Path:
        """The folder of the outputs on this machine."""
        return place(self.stage, self.key)

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """The record of the build: key parts, outputs, metrics, versions, host, times. Raises as `read` does."""
        return read(self.folder).record


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact's folder with its record, in this project or another; its outputs were not checked."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def stage(self) -> str:
        """The stage that built the artifact."""
        return self.record["stage"]

    @property
    def key(self) -> str:
        """The artifact's key, which names everything that it was built from."""
        return self.record["key"]

    @property
    def digest(self) -> str:
        """The digest over names and contents of the artifact's outputs."""
        return self.record["digest"]

    @property
    def name(self) -> str:
        """The name in messages, `<stage>/<key>`."""
        return f"{self.stage}/{self.key}"

    @property
    def inputs(self) -> Mapping[str, str]:
        """Input name -> digest of each input that the artifact was built from."""
        return self.record["parts"].get("inputs", {})

    @property
    def outputs(self) -> Mapping[str, Any]:
        """File name -> bytes and sha256 of each output."""
        return self.record["outputs"]

    @property
    def bytes(self) -> int:
        """Size of all outputs together, in bytes."""
        return sum(output["bytes"] for output in self.outputs.values())

    @property
    def at(self) -> datetime:
        """When the artifact's build began, UTC."""
        return datetime.fromisoformat(self.record["started"]).astimezone(UTC)

    @property
    def seconds(self) -> float:
        """How long the artifact's build took, in seconds."""
        return float(self.record["seconds"])

    @property
    def peak_bytes(self) -> int:
        """The most memory that the process had held by the end of the build, in bytes."""
        return int(self.record["peak_memory_mb"]) * 2**20

    def table(self, name: str) -> "pd.DataFrame":
        """Read a Parquet output; ArtifactError if it is missing or does not match the record."""
        import pandas as pd

        path = self.folder / name
        expected = self.outputs.get(name, {}).get("sha256")
        if not path.is_file() or digests.file_digest(path) != expected:
            raise ArtifactError(f"{path}: missing, or it differs from its record. Run the pipeline again to rebuild it")
        return pd.read_parquet(path)


def read(folder: Path) -> StoredArtifact:
    """Read the artifact in a folder by its record alone; ArtifactError if there is no record of an artifact."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        raise ArtifactError(f"{folder}: there is no artifact with a readable {RECORD}") from None
    if not isinstance(record, dict) or any(
        not isinstance(record.get(name), kind) for name, kind in _REQUIRED_FIELDS.items()
    ):
        raise ArtifactError(f"{folder}: its {RECORD} is not that of an artifact")
    if {"format", "record_digest"} & record.keys() and record.get("record_digest") != _record_digest(record):
        raise ArtifactError(f"{folder}: its {RECORD} differs from its own digest")
    return StoredArtifact(folder, record)


def _record_digest(record: Mapping[str, Any]) -> str:
    return digests.value_digest({name: value for name, value in record.items() if name != "record_digest"})


def stored(stage: str, root: Path | None = None) -> list[StoredArtifact]:
    """List a stage's artifacts that have a readable record, oldest first.

    Args:
        stage: The stage's name.
        root: The artifacts folder of another project; this project's if left out.
    """
    found = []
    for record in ((root or paths.artifacts()) / stage).glob(f"[!.]*/{RECORD}"):
        with suppress(ArtifactError):
            found.append(read(record.parent))
    return sorted(found, key=lambda artifact: (artifact.record["started"], artifact.key))


def place(stage: str, key: str) -> Path:
    """The folder of a stage's artifact with this key, whether it exists or not."""
    return paths.artifacts() / stage / key


def lock_file(stage: str, key: str) -> Path:
    """The file whose lock the builder of this artifact holds."""
    folder = paths.artifacts() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{stage}-{key}.lock"


def load(stage: str, key: str) -> Artifact:
    """The artifact with this key; ArtifactError if there is none or it does not match its record."""
    artifact, fault = check(stage, key)
    if artifact is None:
        raise ArtifactError(f"{stage}/{key}: {fault}. Run the pipeline again to rebuild it")
    return artifact


def find(stage: str, key: str) -> Artifact | None:
    """The artifact with this key; None if there is none or it does not match its record."""
    return check(stage, key)[0]


def verify(stage: str, key: str) -> str | None:
    """Why the artifact with this key cannot be used, or None."""
    return check(stage, key)[1]


def check(stage: str, key: str) -> tuple[Artifact | None, str | None]:
    """The artifact with this key, or why it cannot be used. Reads every output and compares it with the record."""
    fault = _fault(place(stage, key), stage, key)
    if fault:
        return None, fault
    return Artifact(stage=stage, key=key, digest=read(place(stage, key)).digest), None


def _fault(folder: Path, stage: str, key: str) -> str | None:
    """Why this folder does not hold the artifact with this key, or None."""
    if not folder.is_dir():
        return "missing"
    try:
        artifact = read(folder)
        if (artifact.stage, artifact.key) != (stage, key):
            return f"{RECORD}: it is that of {artifact.name}"
        if digests.value_digest(artifact.outputs) != artifact.digest:
            return f"{RECORD}: its digest differs from its outputs"
        for name, output in artifact.outputs.items():
            if fault := _difference(folder / name, output):
                return f"{name}: {fault}"
    except (ArtifactError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{RECORD}: not readable, damaged, or not that of an artifact"
    return None


def _difference(path: Path, output: Mapping[str, Any]) -> str | None:
    if not path.is_file():
        return "missing"
    if path.stat().st_size != output["bytes"]:
        return "size differs from its record"
    if digests.file_digest(path) != output["sha256"]:
        return "content differs from its record"
    return None


@contextmanager
def build(
    stage: str,
    key: str,
    parts: Mapping[str, Any],
    run: Mapping[str, Any] | None = None,
    protect: Callable[[], AbstractContextManager[str | None]] = nullcontext,
) -> Iterator[Path]:
    """Give a temporary folder for a stage's outputs; publish it with its record if the block ends without an error.

    Killed at any moment, it leaves the earlier artifact with this key or the new one. The caller holds the lock on
    `lock_file(stage, key)`. The content of an output named metrics.json is also copied into the record.

    Args:
        stage: The stage's name.
        key: The artifact's key.
        parts: What the key was computed from.
        run: More fields for the record, such as the flow run's id and name.
        protect: Gives the digest of content that no other content may replace, or None, and holds it while the
            artifact is published.

    Raises:
        ArtifactError: The artifact with this key has the protected content, and this build gave another.
    """
    target = place(stage, key)
    if not target.parent.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.sync_folder(target.parent.parent)
    sweep(stage, key)
    temporary = Path(tempfile.mkdtemp(prefix=f".{key}-", suffix=".tmp", dir=target.parent))
    started, clock = datetime.now(UTC), time.perf_counter()
    try:
        yield temporary
        outputs = {
            path.relative_to(temporary).as_posix(): {"bytes": path.stat().st_size, "sha256": digests.file_digest(path)}
            for path in sorted(temporary.rglob("*"))
            if path.is_file()
        }
        metrics = temporary / METRICS
        record = {
            "stage": stage,
            "key": key,
            "digest": digests.value_digest(outputs),
            "parts": parts,
            "outputs": outputs,
            "metrics": json.loads(metrics.read_text()) if metrics.is_file() else {},
            "seed": parts.get("config", {}).get("seed"),
            "started": started.isoformat(),
            "seconds": round(time.perf_counter() - clock, 3),
            "peak_memory_mb": int(host.peak_memory()),
            "host": host.description(),
            "revision": _git_revision(),
            **(run or {}),
        }
        record = json.loads(json.dumps(record | {"format": RECORD_FORMAT}))  # as it will be read
        record["record_digest"] = _record_digest(record)
        (temporary / RECORD).write_text(json.dumps(record, indent=1))
        with protect() as protected:
            if protected not in (None, record["digest"]) and (found := find(stage, key)) and found.digest == protected:
                raise ArtifactError(
                    f"{stage}/{key}: its content was promoted, and this build gave another (digest "
                    f"{record['digest'][:8]} instead of {protected[:8]}), which was discarded. Something outside the "
                    f"key changed: the processor, the number of threads, a driver. To have the new content all the "
                    f"same, delete {target}, build again and use `artdetect promote {key}`"
                )
            _publish(temporary, target)
        _note(stage, {"key": key, "started": record["started"], "parts": parts})
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, target: Path) -> None:
    """Sync `temporary` to the disk and give it the name `target`; the caller removes what is then at `temporary`."""
    temporary.chmod(0o755)  # mkdtemp's folders are private; artifacts may be shared
    for path in [*temporary.rglob("*"), temporary]:
        atomic.sync(path)
    discarded = None
    if not target.exists():
        temporary.rename(target)
    elif not atomic.exchange(temporary, target):
        discarded = target.rename(temporary.with_suffix(".old"))  # after a kill here, `recover` puts it back
        temporary.rename(target)
    atomic.sync_folder(target.parent)  # before anything is removed
    if discarded:
        shutil.rmtree(discarded, ignore_errors=True)


def sweep(stage: str, key: str) -> None:
    """Remove what killed builds of this artifact left, after putting back what is whole if the artifact is gone.

    The caller holds the artifact's lock, so no builder is alive.
    """
    if whole := moved_aside(stage, key):
        _publish(whole, place(stage, key))
    for leftover in (paths.artifacts() / stage).glob(f".{key}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def moved_aside(stage: str, key: str) -> Path | None:
    """The folder with an artifact that is not in its place, because a process was killed while it published it."""
    folder = place(stage, key)
    if folder.exists():
        return None
    leftovers = [path for suffix in (".old", ".tmp") for path in sorted(folder.parent.glob(f".{key}-*{suffix}"))]
    return next((path for path in leftovers if _fault(path, stage, key) is None), None)


def recover(stage: str, key: str) -> bool:
    """Put back an artifact that a killed process had moved aside, unless it is being built; whether that was done."""
    from filelock import FileLock, Timeout

    if not moved_aside(stage, key):
        return False
    with suppress(Timeout), FileLock(lock_file(stage, key)).acquire(timeout=0):
        if whole := moved_aside(stage, key):
            _publish(whole, place(stage, key))
            return True
    return False


def _note(stage: str, entry: Mapping[str, Any]) -> None:
    """Add a build to the journal. A journal that is full takes the place of the older one."""
    from filelock import FileLock

    newer, older = (paths.artifacts() / stage / name for name in (JOURNAL, OLDER_JOURNAL))
    with newer.open("a") as file:
        file.write("\n" + json.dumps(entry) + "\n")
    if _size(newer) > MAX_JOURNAL:
        with FileLock(lock_file(stage, "journal")):
            if _size(newer) > MAX_JOURNAL:  # and no other process was faster
                newer.replace(older)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def journal(stage: str) -> list[dict[str, Any]]:
    """What the builds of this stage were made from, oldest first: [{"key", "started", "parts"}].

    The last ones: as many as `MAX_JOURNAL` bytes hold, or up to twice as many.
    """
    entries = []
    for name in (OLDER_JOURNAL, JOURNAL):
        with suppress(OSError):
            for line in (paths.artifacts() / stage / name).read_text(errors="replace").splitlines():
                with suppress(ValueError):  # an empty line, or one cut off by a kill
                    entry = json.loads(line)
                    if isinstance(entry, dict) and {"key", "parts"} <= entry.keys():
                        entries.append(entry)
    return entries


def newest(stage: str) -> Artifact | None:
    """The stage's artifact that was built last and still matches its record."""
    keys = (artifact.folder.name for artifact in reversed(stored(stage)))
    return next((artifact for key in keys if (artifact := find(stage, key))), None)


def _git_revision() -> str | None:
    """The checkout's commit, with + when files differ from it; None outside a checkout."""
    command = [
        "git",
        "--no-optional-locks",
        "-C",
        str(paths.project()),
        "describe",
        "--always",
        "--abbrev=12",
        "--dirty=+",
        "--exclude=*",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
