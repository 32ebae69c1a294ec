"""Pictures that are whole and on the disk before anything relies on them: copied aside, synced, named by a rename.

Small files are `atomic.write`'s; what it leaves aside when it is killed has the same suffix.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from artdetect.core import atomic, paths

COPY_BYTES = 2**20  # bytes copied at a time


def temporary(target: Path) -> Path:
    """Where a file is written before it gets its name; hidden, so that nobody takes it for a picture."""
    return target.with_name(f".{target.name}.tmp")


def copy_aside(source: Path, target: Path) -> str | None:
    """Copy a file to `aside(target)`, to the disk; the sha256 of what was copied, None where it has gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        reader = source.open("rb")
    except FileNotFoundError:
        return None
    with reader, temporary(target).open("wb") as writer:
        while piece := reader.read(COPY_BYTES):
            digest.update(piece)
            writer.write(piece)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def commit(targets: Iterable[Path]) -> None:
    """Give files that were written aside their names, for good."""
    named = list(targets)
    for target in named:
        temporary(target).replace(target)
    sync_folders({target.parent for target in named})


def sync_folders(folders: Iterable[Path]) -> None:
    """Have the names in these folders, and their own up to data/, on the disk."""
    above = {
        parent for folder in folders for parent in (folder, *folder.parents) if parent.is_relative_to(paths.data())
    }
    for folder in above:
        atomic.sync(folder)


def sweep() -> None:
    """Remove what killed runs left aside; the caller holds the lock, so no other run writes."""
    for root in (paths.incoming(), paths.rejected()):
        for leftover in root.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
