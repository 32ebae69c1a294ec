"""What is in artifacts/ and data/: artifacts, damaged folders, leftovers of dead processes, and their sizes."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.stages import STAGES
from artdetect.artifacts.store import StoredArtifact
from artdetect.core import paths
from artdetect.core.errors import ArtifactError

# Folders in data/cache that are computed again from the pictures.
CACHES = ("pixels", "crops", "features", "frozen_features", "attributions", "json", "file_metadata")
WORK = "work"  # in data/cache: states of unfinished trainings
STRAY_SECONDS = 3600  # age at which a file that is named by a UUID or half written belongs to no live process


@dataclass(frozen=True)
class DamagedFolder:
    """A folder in the place of an artifact, without a readable and complete record of it."""

    folder: Path
    at: datetime  # when the folder last changed, UTC
    bytes: int

    @property
    def stage(self) -> str:
        """The stage that the folder stands under."""
        return self.folder.parent.name

    @property
    def key(self) -> str:
        """The key that the folder stands under."""
        return self.folder.name


Item = StoredArtifact | DamagedFolder


@dataclass(frozen=True)
class Leftover:
    """What a process may have left. Where it belongs to an artifact, `stage` and `key` name the lock to take first."""

    path: Path
    stage: str | None = None
    key: str | None = None


def stages() -> list[str]:
    """The stages that have a folder, in the pipeline's order; unknown ones, such as retired stages, last."""
    names = [folder.name for folder in _folders(paths.artifacts()) if folder.name in STAGES or _has_journal(folder)]
    order = {name: position for position, name in enumerate(STAGES)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def items() -> list[Item]:
    """Every artifact and damaged folder, by stage and then by time. Reads records only, no outputs."""
    found = [_item(stage, folder) for stage in stages() for folder in _folders(paths.artifacts() / stage)]
    order = {name: position for position, name in enumerate(stages())}
    return sorted((item for item in found if item), key=lambda item: (order[item.stage], item.at, item.key))


def intact(items: Sequence[Item]) -> list[StoredArtifact]:
    """The artifacts among these items, without the damaged folders."""
    return [item for item in items if isinstance(item, StoredArtifact)]


def leftovers(older: float) -> list[Leftover]:
    """What dead processes may have left; the lock of each says whether its process is really dead.

    Args:
        older: Seconds without a change after which the work folder of a training counts as left.
    """
    now, found = time.time(), []
    for stage in stages():
        for path in (paths.artifacts() / stage).glob(".*-*"):
            if path.suffix in (".tmp", ".old", ".removed") and path.is_dir():
                found.append(Leftover(path, stage, path.name[1:].rpartition("-")[0]))
    for path in (paths.cache() / WORK).glob("*"):
        stage, _, key = path.name.rpartition("-")
        if path.name.startswith("."):
            found.append(Leftover(path))  # from a collection that was killed
        elif now - _changed(path) > older:
            found.append(Leftover(path, stage, key))
    for path in _strays():
        with suppress(OSError):
            if path.is_file() and now - path.stat().st_mtime > STRAY_SECONDS:
                found.append(Leftover(path))
    return found


def locks() -> list[tuple[str, str]]:
    """(stage, key) of the lock files whose artifact is gone."""
    names = {path.stem for path in (paths.artifacts() / ".locks").glob("*-*") if path.suffix in (".lock", ".use")}
    owners = [(stage, key) for name in sorted(names) for stage, _, key in [name.rpartition("-")]]
    known = {*stages(), *STAGES}
    return [(stage, key) for stage, key in owners if stage in known and not (paths.artifacts() / stage / key).exists()]


def sizes() -> dict[str, int]:
    """Path, such as "data/raw" -> bytes, for every non-empty part of data/ and artifacts/."""
    found = {f"data/{name}": disk_use(paths.data() / name) for name in ("raw", "incoming", "inbox", "rejected")}
    found |= {f"data/cache/{part.name}": disk_use(part) for part in sorted(paths.cache().glob("*"))}
    stages_and_others = sorted(path for path in paths.artifacts().glob("[!.]*") if path.is_dir())
    found |= {f"artifacts/{folder.name}": disk_use(folder) for folder in stages_and_others}
    return {name: size for name, size in found.items() if size}


def disk_use(path: Path) -> int:
    """Bytes of a file, or of all files below a folder. Links and files that vanish meanwhile count nothing."""
    total = 0
    with suppress(OSError):
        if not path.is_dir() or path.is_symlink():
            return 0 if path.is_symlink() else path.stat().st_size
        with os.scandir(path) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        total += disk_use(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _strays() -> Iterator[Path]:
    """Results of failed flows, which Prefect names by a UUID, and the temporary files of a killed `atomic.write`."""
    for path in paths.artifacts().glob("*-*-*-*-*"):
        with suppress(ValueError):
            if str(UUID(path.name)) == path.name:
                yield path
    for folder in (paths.artifacts(), run_ledger.folder(), registry.alias_file().parent):
        yield from folder.glob(".*.tmp")


def _item(stage: str, folder: Path) -> Item | None:
    """The artifact or damaged folder; None if it has vanished meanwhile."""
    try:
        artifact = store.read(folder)
        # an error if the record lacks one of these
        _ = artifact.at, artifact.bytes, artifact.seconds, artifact.peak_bytes, dict(artifact.inputs)
        if (artifact.stage, artifact.key) == (stage, folder.name):
            return artifact
    except (ArtifactError, ValueError, KeyError, TypeError, AttributeError):
        pass
    try:
        return DamagedFolder(folder, datetime.fromtimestamp(folder.stat().st_mtime, UTC), disk_use(folder))
    except OSError:
        return None


def _folders(parent: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError), os.scandir(parent) as entries:
        yield from (Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _has_journal(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (store.JOURNAL, store.OLDER_JOURNAL))


def _changed(path: Path) -> float:
    """When anything at this path last changed, in seconds since 1970; now, if it vanishes meanwhile."""
    try:
        return max(entry.stat().st_mtime for entry in [path, *path.rglob("*")])
    except OSError:
        return time.time()
