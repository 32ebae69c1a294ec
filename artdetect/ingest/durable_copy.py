"""Copy many pictures durably in two steps: `copy_aside` writes and syncs each, `commit` renames all and syncs once.

`core.atomic` replaces single files. Both leave temporary files with the same suffix when they are killed.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from artdetect.core import atomic, paths

COPY_BYTES = 2**20  # copied at a time


def temporary(target: Path) -> Path:
    """Where a file is written before it gets its name. It is hidden, so that it does not count as a picture."""
    return target.with_name(f".{target.name}.tmp")


def copy_aside(source: Path, target: Path) -> str | None:
    """Copy a file to `temporary(target)` and flush it to disk.

    Returns:
        The sha256 of the copy; None if the source is gone.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        reader = source.open("rb")
    except FileNotFoundError:
        return None
    with reader, temporary(target).open("wb") as writer:
        while chunk := reader.read(COPY_BYTES):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def commit(targets: Iterable[Path]) -> None:
    """Give the files that were copied aside their names, durably."""
    targets = list(targets)
    for target in targets:
        temporary(target).replace(target)
    sync_folders({target.parent for target in targets})


def sync_folders(folders: Iterable[Path]) -> None:
    """Flush the names in these folders, and in their parents up to data/, to disk."""
    with_parents = {
        parent for folder in folders for parent in (folder, *folder.parents) if parent.is_relative_to(paths.data())
    }
    for folder in with_parents:
        atomic.sync_folder(folder)


def sweep() -> None:
    """Remove the temporary files of killed runs. The caller holds the lock, so no other run is writing."""
    for root in (paths.incoming(), paths.rejected()):
        for leftover in root.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
