"""Data sets under data/raw. Each folder appears complete, by one rename, and never changes afterwards.

A small record beside the folder says which archive it was unpacked from, so that the next run makes no request.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artdetect.core import atomic, digests, paths
from artdetect.core.errors import DownloadError
from artdetect.core.progress import ByteProgress, no_progress
from artdetect.download.extract import extract
from artdetect.download.source import (
    public_url,
    read_json,
    stamp,
    url_digest,
    write_json,
)


@dataclass(frozen=True)
class Dataset:
    """An unpacked archive."""

    folder: Path
    sha256: str  # of the archive
    files: int  # unpacked
    bytes: int  # unpacked


def downloads() -> Path:
    """The folder for archives in transfer, and for the locks."""
    return paths.cache() / "downloads"


def find(url: str, sha256: str | None) -> Dataset | None:
    """The data set already unpacked from the archive with this `sha256`, or from this web address if that is None."""
    for record in sorted(paths.raw().glob("*.json")):
        content = read_json(record)
        matches = content.get("sha256") == sha256 if sha256 else url_digest(url) in content.get("urls", {})
        if matches and (dataset := _from_record(record.with_suffix(""), content)):
            return dataset
    return None


def unpack(
    archive: Path,
    sha256: str,
    name: str,
    max_bytes: float,
    progress: ByteProgress = no_progress,
    url: str | None = None,
    where: str = "",
) -> Dataset:
    """Unpack `archive` to data/raw/`name`, unless that exists already.

    Args:
        archive: The zip archive.
        sha256: The digest of the archive.
        name: The name of the folder below data/raw.
        max_bytes: Limit on the unpacked size.
        progress: Called often while unpacking.
        url: The web address it came from, if any; it goes into the record.
        where: How messages name the archive; by its path if empty.

    Raises:
        DownloadError: The archive is damaged, unsafe or too large, or it changed meanwhile. Nothing is left of it.
    """
    folder, record = paths.raw() / name, _record(name)
    paths.raw().mkdir(parents=True, exist_ok=True)
    with locked(name, progress):
        if folder.is_dir():
            content = read_json(record)
            dataset = _from_record(folder, content)
            if not dataset:  # killed between the rename and the record
                progress(0, None, "counting")
                dataset = Dataset(folder, sha256, *_count_files(folder))
        else:
            dataset = Dataset(folder, sha256, *_unpack(archive, folder, max_bytes, progress, where or str(archive)))
            content = {}
        urls = dict(content.get("urls", {})) | ({url_digest(url): public_url(url)} if url else {})
        update = {"sha256": sha256, "files": dataset.files, "bytes": dataset.bytes, "urls": urls}
        if update != content:
            write_json(record, update)
    return dataset


def link_together(folders: Mapping[str, Path]) -> Path:
    """The folder in data/raw with a link to each of these folders of pictures, by name.

    Links to folders in the data root are relative, so that a project can be moved.
    """
    key = digests.value_digest({name: paths.portable(folder) for name, folder in folders.items()})
    together = paths.raw() / f"sets-{key[:16]}"
    together.mkdir(parents=True, exist_ok=True)
    with locked(together.name):
        for name, folder in folders.items():
            inside, link = folder.resolve().is_relative_to(paths.data()), together / name
            target = os.path.relpath(folder.resolve(), together.resolve()) if inside else str(folder.resolve())
            if not (link.is_symlink() and str(link.readlink()) == target):
                link.unlink(missing_ok=True)
                link.symlink_to(target)
    return together


def sweep() -> None:
    """Remove what killed extractions left: temporary folders whose lock is free."""
    for leftover in paths.raw().glob(".*.tmp"):
        if leftover.is_dir():
            with _try_lock(leftover.name[1:-4]) as free:
                if free:
                    shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def locked(name: str, progress: ByteProgress = no_progress) -> Iterator[None]:
    """Hold the lock `name` against all other processes. The kernel releases it when its holder dies."""
    with _try_lock(name) as free:
        if free:
            yield
            return
    progress(0, None, "waiting for another run")
    with _lock(name):
        yield


@contextmanager
def _try_lock(name: str) -> Iterator[bool]:
    from filelock import Timeout

    lock = _lock(name)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _lock(name: str) -> Any:
    from filelock import FileLock

    downloads().mkdir(parents=True, exist_ok=True)
    return FileLock(downloads() / f"{name}.lock")


def _unpack(archive: Path, folder: Path, max_bytes: float, progress: ByteProgress, where: str) -> tuple[int, int]:
    """Unpack into a hidden sibling and rename that. The caller holds the lock of `folder`'s name."""
    before = stamp(archive)
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        counts = extract(archive, temporary, max_bytes, progress, where)
        if stamp(archive) != before:
            raise DownloadError(
                f"{where}: the archive was changed while it was unpacked: run again once it is complete"
            )
        progress(counts[1], counts[1], "writing to disk")
        os.sync()  # once, because an fsync for each of 200,000 files takes minutes
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    atomic.sync_folder(folder.parent)
    return counts


def _record(name: str) -> Path:
    return paths.raw() / f"{name}.json"


def _from_record(folder: Path, content: dict[str, Any]) -> Dataset | None:
    match content:
        case {"sha256": str(sha256), "files": int(files), "bytes": int(size)} if folder.is_dir():
            return Dataset(folder, sha256, files, size)
    return None


def _count_files(folder: Path) -> tuple[int, int]:
    sizes = [(Path(parent) / name).stat().st_size for parent, _, names in os.walk(folder) for name in names]
    return len(sizes), sum(sizes)
