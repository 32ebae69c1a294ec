"""Artifacts on disk: `artifacts/<stage>/<key>/`, published whole or not at all, each with a record of how it was made.

A folder counts only if it has a record and its outputs still match it. The journal beside the folders remembers what
every build was made of, so that a later run can say what changed.
"""

import json
import os
import platform
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from artdetect.core import digests, paths
from artdetect.core.errors import ArtifactError

if TYPE_CHECKING:
    import pandas as pd

RECORD = "record.json"
JOURNAL = "journal.jsonl"  # of a stage, beside its artifacts
CACHE_ENTRY = "prefect.json"  # Prefect's cache record; it lives and dies with the folder
_FIELDS = {"stage": str, "key": str, "digest": str, "parts": dict, "outputs": dict, "started": str}  # of any record


class Artifact(BaseModel):
    """A published folder: what made it (`key`) and what came out (`digest`, over names and contents of its outputs)."""

    model_config = ConfigDict(frozen=True)

    stage: str
    key: str
    digest: str

    @property
    def folder(self) -> Path:
        """Where the outputs are, on this machine."""
        return place(self.stage, self.key)

    @property
    def record(self) -> Mapping[str, Any]:
        """The run's metadata: key parts, outputs, metrics, versions, host, times; errors as of `read`."""
        return read(self.folder).record


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact as its record has it, below this project's artifacts or another's; its outputs may be damaged."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def stage(self) -> str:
        """Of which it is."""
        return self.record["stage"]

    @property
    def key(self) -> str:
        """What made it."""
        return self.record["key"]

    @property
    def name(self) -> str:
        """`<stage>/<key>`."""
        return f"{self.stage}/{self.key}"

    @property
    def inputs(self) -> Mapping[str, str]:
        """Input name -> the digest of what it was."""
        return self.record["parts"].get("inputs", {})

    @property
    def outputs(self) -> Mapping[str, Any]:
        """File name -> its bytes and sha256."""
        return self.record["outputs"]

    def table(self, name: str) -> "pd.DataFrame":
        """A Parquet output; ArtifactError if it is missing or does not match the record."""
        import pandas as pd

        path = self.folder / name
        expected = self.outputs.get(name, {}).get("sha256")
        if not path.is_file() or digests.file_digest(path) != expected:
            raise ArtifactError(f"{path}: missing, or it differs from its record. Run the pipeline again to rebuild it")
        return pd.read_parquet(path)


def read(folder: Path) -> StoredArtifact:
    """The artifact in this folder by its record alone; ArtifactError if that is missing or not an artifact's."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        raise ArtifactError(f"{folder}: there is no artifact with a readable {RECORD}") from None
    if not isinstance(record, dict) or any(not isinstance(record.get(name), kind) for name, kind in _FIELDS.items()):
        raise ArtifactError(f"{folder}: its {RECORD} is not that of an artifact")
    return StoredArtifact(folder, record)


def stored(stage: str, root: Path | None = None) -> list[StoredArtifact]:
    """A stage's artifacts whose record can be read, oldest first; `root`: another project's artifacts folder."""
    found = []
    for record in ((root or paths.artifacts()) / stage).glob(f"[!.]*/{RECORD}"):
        with suppress(ArtifactError):
            found.append(read(record.parent))
    return sorted(found, key=lambda made: (made.record["started"], made.key))


def place(stage: str, key: str) -> Path:
    """The folder of a stage's artifact with this key, whether it exists or not."""
    return paths.artifacts() / stage / key


def lock_file(stage: str, key: str) -> Path:
    """The file whose lock the builder of this artifact holds."""
    folder = paths.artifacts() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{stage}-{key}.lock"


def load(stage: str, key: str) -> Artifact:
    """The artifact at this place; ArtifactError if there is none or it does not match its record."""
    if fault := verify(stage, key):
        raise ArtifactError(f"{stage}/{key}: {fault}. Run the pipeline again to rebuild it")
    return at(stage, key)


def at(stage: str, key: str) -> Artifact:
    """The artifact at this place by its record alone, for a caller that has just asked for its `problem`."""
    return Artifact(stage=stage, key=key, digest=read(place(stage, key)).record["digest"])


def verify(stage: str, key: str) -> str | None:
    """Why the artifact at this place cannot be used, or None. Reads every output and compares it with the record."""
    folder = place(stage, key)
    if not folder.is_dir():
        return "missing"
    try:
        record = read(folder).record
        if (record["stage"], record["key"]) != (stage, key):
            return f"{RECORD}: it is that of {record['stage']}/{record['key']}"
        outputs = record["outputs"]
        if digests.value_digest(outputs) != record["digest"]:
            return f"{RECORD}: its digest differs from its outputs"
        for name, output in outputs.items():
            if fault := _difference(folder / name, output):
                return f"{name}: {fault}"
    except (ArtifactError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{RECORD}: not readable, or not that of an artifact"
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
def build(stage: str, key: str, parts: Mapping[str, Any], run: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """A temporary folder to write a stage's outputs to; published with its record if the block ends well.

    The caller holds the lock on `lock_file(stage, key)`. `parts` are what the key was made from, `run` is what else the
    record should say (flow run id and name). An output named metrics.json also stands in the record.
    """
    target = place(stage, key)
    target.parent.mkdir(parents=True, exist_ok=True)
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
        metrics = temporary / "metrics.json"
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
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "host": {"name": platform.node(), "system": platform.platform(), "cpus": os.cpu_count()},
            "revision": _git_revision(),
            **(run or {}),
        }
        (temporary / RECORD).write_text(json.dumps(record, indent=1))
        _publish(temporary, target)
        with (target.parent / JOURNAL).open("a") as journal_file:
            journal_file.write("\n" + json.dumps({"key": key, "started": record["started"], "parts": parts}) + "\n")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, target: Path) -> None:
    """Make `temporary` durable and give it its name in one atomic step."""
    for path in [*temporary.rglob("*"), temporary]:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    temporary.chmod(0o755)  # mkdtemp's folders are private; artifacts may be shared
    if target.exists():
        discarded = temporary.with_suffix(".old")
        target.rename(discarded)
        temporary.rename(target)
        shutil.rmtree(discarded, ignore_errors=True)
    else:
        temporary.rename(target)


def sweep(stage: str, key: str) -> None:
    """Remove what killed builds of this artifact left; the caller holds its lock, so no builder is alive."""
    for leftover in (paths.artifacts() / stage).glob(f".{key}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def journal(stage: str) -> list[dict[str, Any]]:
    """What this stage was ever built from, oldest first: [{"key", "started", "parts"}]."""
    try:
        lines = (paths.artifacts() / stage / JOURNAL).read_text(errors="replace").splitlines()
    except OSError:
        return []
    entries = []
    for line in lines:
        with suppress(ValueError):  # blank, or torn by a kill
            entry = json.loads(line)
            if isinstance(entry, dict) and {"key", "parts"} <= entry.keys():
                entries.append(entry)
    return entries


def newest(stage: str) -> Artifact | None:
    """The stage's artifact that was built last and is still whole."""
    keys = (made.folder.name for made in reversed(stored(stage)))
    key = next((key for key in keys if verify(stage, key) is None), None)
    return None if key is None else at(stage, key)


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
