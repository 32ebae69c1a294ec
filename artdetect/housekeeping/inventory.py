"""What lies below artifacts/ and data/: artifacts, damaged folders, what dead processes left, and how much it takes."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.stages import STAGES
from artdetect.core import paths
from artdetect.core.errors import ArtifactError

# Of data/cache: what is made again from the pictures.
CACHES = ("pixels", "features", "seen", "attributions", "answers", "facts")
WORK = "work"  # of data/cache: states of unfinished trainings
STRAY_SECONDS = 3600  # from which a file named by a uuid alone, or one half written, is nobody's


@dataclass(frozen=True)
class InventoryItem:
    """An artifact's folder as its record has it; a damaged one has no record, and says so."""

    stage: str
    key: str
    digest: str | None  # None: damaged
    inputs: Mapping[str, str]  # name -> the digest of what it was
    at: datetime  # when its build began; of a damaged one, when its folder last changed
    bytes: int
    seconds: float  # of the build
    peak_bytes: int  # the most memory that its builder's process ever had

    @property
    def folder(self) -> Path:
        """Where it is."""
        return paths.artifacts() / self.stage / self.key


@dataclass(frozen=True)
class Leftover:
    """What a dead process left. `stage` and `key`: whose lock to take before removing it, if anyone's."""

    path: Path
    stage: str | None = None
    key: str | None = None


def stages() -> list[str]:
    """The stages with a folder, in the chain's order; others, such as retired ones, last."""
    names = [folder.name for folder in _folders(paths.artifacts()) if folder.name in STAGES or _has_journal(folder)]
    order = {name: place for place, name in enumerate(STAGES)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def artifacts() -> list[InventoryItem]:
    """Every artifact and damaged folder, by stage and then by time. Reads records, and no output."""
    found = [_item(stage, folder) for stage in stages() for folder in _folders(paths.artifacts() / stage)]
    order = {name: place for place, name in enumerate(stages())}
    return sorted((item for item in found if item), key=lambda item: (order[item.stage], item.at, item.key))


def leftovers(older: float) -> list[Leftover]:
    """What dead processes may have left; work folders only where nothing in them changed for `older` seconds.

    Whether the process is dead is for the lock to say.
    """
    now, found = time.time(), []
    for stage in stages():
        for path in (paths.artifacts() / stage).glob(".*-*"):
            if path.suffix in (".tmp", ".old") and path.is_dir():
                found.append(Leftover(path, stage, path.name[1:].rpartition("-")[0]))
    for path in (paths.cache() / WORK).glob("*"):
        stage, _, key = path.name.rpartition("-")
        if path.name.startswith("."):
            found.append(Leftover(path))  # of a collection that was killed
        elif now - _changed(path) > older:
            found.append(Leftover(path, stage, key))
    for path in _strays():
        with suppress(OSError):
            if path.is_file() and now - path.stat().st_mtime > STRAY_SECONDS:
                found.append(Leftover(path))
    return found


def locks() -> list[tuple[str, str]]:
    """(stage, key) of lock files whose artifact is gone."""
    names = {path.stem for path in (paths.artifacts() / ".locks").glob("*-*") if path.suffix in (".lock", ".use")}
    owners = [(stage, key) for name in sorted(names) for stage, _, key in [name.rpartition("-")]]
    known = {*stages(), *STAGES}
    return [(stage, key) for stage, key in owners if stage in known and not (paths.artifacts() / stage / key).exists()]


def sizes() -> dict[str, int]:
    """Bytes of data/'s and artifacts/'s parts, by their path as people know it."""
    found = {f"data/{name}": used(paths.data() / name) for name in ("raw", "incoming", "inbox", "rejected")}
    found |= {f"data/cache/{part.name}": used(part) for part in sorted(paths.cache().glob("*"))}
    found |= {f"artifacts/{part.name}": used(part) for part in sorted(paths.artifacts().glob("[!.]*")) if part.is_dir()}
    return {name: size for name, size in found.items() if size}


def used(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links count nothing, what vanishes meanwhile neither."""
    total = 0
    with suppress(OSError):
        if not path.is_dir() or path.is_symlink():
            return 0 if path.is_symlink() else path.stat().st_size
        with os.scandir(path) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        total += used(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _strays() -> Iterator[Path]:
    """What Prefect keeps of a failed flow, named by a uuid alone, and what `atomic.write` leaves when it is killed."""
    for path in paths.artifacts().glob("*-*-*-*-*"):
        with suppress(ValueError):
            if str(UUID(path.name)) == path.name:
                yield path
    for folder in (paths.artifacts(), run_ledger.folder(), registry.alias_file().parent):
        yield from folder.glob(".*.tmp")


def _item(stage: str, folder: Path) -> InventoryItem | None:
    try:
        made = store.read(folder)
        if (made.stage, made.key) != (stage, folder.name):
            raise ValueError("another's record")
        return InventoryItem(
            stage,
            folder.name,
            made.record["digest"],
            dict(made.inputs),
            datetime.fromisoformat(made.record["started"]).astimezone(UTC),
            sum(output["bytes"] for output in made.outputs.values()),
            float(made.record["seconds"]),
            int(made.record["peak_memory_mb"]) * 2**20,
        )
    except (ArtifactError, ValueError, KeyError, TypeError, AttributeError):
        try:
            changed = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        except OSError:
            return None  # removed meanwhile
        return InventoryItem(stage, folder.name, None, {}, changed, used(folder), 0.0, 0)


def _folders(place: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError), os.scandir(place) as entries:
        yield from (Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _has_journal(folder: Path) -> bool:
    return (folder / store.JOURNAL).is_file()


def _changed(path: Path) -> float:
    """When anything in it last changed; now, where it vanishes meanwhile."""
    try:
        return max(entry.stat().st_mtime for entry in [path, *path.rglob("*")])
    except OSError:
        return time.time()
