"""Data sets under data/raw: each folder appears complete, in one rename, and is never changed afterwards.

A small record beside the folder says what it was unpacked from, so that the next run needs no request at all.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artdetect.core import atomic, paths
from artdetect.core.errors import DownloadError
from artdetect.download.extract import extract
from artdetect.download.source import Progress, no_progress, public_url, read_json, stamp, url_digest, write_json


@dataclass(frozen=True)
class Dataset:
    """An unpacked archive; `sha256` is the archive's, `files` and `bytes` count what was unpacked."""

    folder: Path
    sha256: str
    files: int
    bytes: int


def downloads() -> Path:
    """Where archives lie while they arrive, and the locks."""
    return paths.cache() / "downloads"


def known(url: str, sha256: str | None) -> Dataset | None:
    """The data set that is already there for a web address, or from wherever its archive came if `sha256` is given."""
    for record in sorted(paths.raw().glob("*.json")):
        content = read_json(record)
        wanted = content.get("sha256") == sha256 if sha256 else url_digest(url) in content.get("urls", {})
        if wanted and (found := _recorded(record.with_suffix(""), content)):
            return found
    return None


def unpack(
    archive: Path,
    sha256: str,
    name: str,
    max_bytes: float,
    progress: Progress = no_progress,
    url: str | None = None,
    where: str = "",
) -> Dataset:
    """Unpacks `archive` to data/raw/`name`, unless that is there already.

    Raises:
        DownloadError: The archive is damaged, unsafe or too large, or was changed meanwhile. Nothing is left of it.
    """
    folder, record = paths.raw() / name, _record(name)
    paths.raw().mkdir(parents=True, exist_ok=True)
    with locked(name, progress):
        if folder.is_dir():
            content = read_json(record)
            found = _recorded(folder, content)
            if not found:  # killed between the rename and the record
                progress(0, None, "counting")
                found = Dataset(folder, sha256, *_counted(folder))
        else:
            found = Dataset(folder, sha256, *_unpack(archive, folder, max_bytes, progress, where or str(archive)))
            content = {}
        urls = dict(content.get("urls", {})) | ({url_digest(url): public_url(url)} if url else {})
        update = {"sha256": sha256, "files": found.files, "bytes": found.bytes, "urls": urls}
        if update != content:
            write_json(record, update)
    return found


def sweep() -> None:
    """Removes what killed extractions left: a temporary folder whose lock is free belongs to nobody."""
    for leftover in paths.raw().glob(".*.tmp"):
        if leftover.is_dir():
            with _try_lock(leftover.name[1:-4]) as free:
                if free:
                    shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def locked(name: str, progress: Progress = no_progress) -> Iterator[None]:
    """Holds the lock `name` among all processes; the kernel releases it when its holder dies."""
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


def _unpack(archive: Path, folder: Path, max_bytes: float, progress: Progress, where: str) -> tuple[int, int]:
    """Unpacks into a hidden sibling and renames it; the caller holds the lock of `folder`'s name."""
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
        os.sync()  # one call: an fsync for each of 200,000 files takes minutes
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    atomic.sync(folder.parent)
    return counts


def _record(name: str) -> Path:
    return paths.raw() / f"{name}.json"


def _recorded(folder: Path, content: dict[str, Any]) -> Dataset | None:
    match content:
        case {"sha256": str(sha256), "files": int(files), "bytes": int(size)} if folder.is_dir():
            return Dataset(folder, sha256, files, size)
    return None


def _counted(folder: Path) -> tuple[int, int]:
    sizes = [(Path(parent) / name).stat().st_size for parent, _, names in os.walk(folder) for name in names]
    return len(sizes), sum(sizes)
