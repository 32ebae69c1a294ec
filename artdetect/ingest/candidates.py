"""Find the files to ingest: those in a given folder, and those in the inbox that have settled."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artdetect.core import paths
from artdetect.core.errors import DataError, storage_error
from artdetect.index.listing import JUNK_FILES, SOURCE_TABLES
from artdetect.ingest import provenance
from artdetect.ingest.provenance import FILE, Provenance, ProvenanceFile
from artdetect.ingest.result import IngestResult, Rejected
from artdetect.pictures import file_types

PARTIAL = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp")  # of unfinished copies and downloads
NOT_REGULAR = "a link, or no regular file: put the picture itself here"
NOT_A_PICTURE = "not a picture by its name"


@dataclass(frozen=True)
class Candidate:
    """A file to ingest."""

    path: Path
    name: str  # relative to the given folder or the inbox; encodable as UTF-8


@dataclass(frozen=True)
class FileState:
    """The properties by which a change of a file is detected."""

    bytes: int
    mtime_ns: int
    inode: int
    changed: float  # time of the last change, seconds since 1970


def file_state(path: Path) -> FileState | None:
    """The state of a regular file; None if there is none. Links and special files are not followed or opened."""
    try:
        status = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    # A modification time in the future, from a wrong clock, is useless: use the time of the last change of any kind. If
    # that is in the future, too, this machine's clock was set back since, and the change is long over.
    now = time.time()
    changed = next((moment for moment in (status.st_mtime, status.st_ctime) if moment <= now), 0.0)
    return FileState(status.st_size, status.st_mtime_ns, status.st_ino, changed)


def files_in(folder: Path, result: IngestResult) -> Iterator[Candidate]:
    """The pictures in a folder at any depth, in order; or `folder` itself if it is a file.

    Links and special files with the name of a picture are rejected. Files with other names are left.

    Raises:
        DataError: There is no such folder.
    """
    if folder.is_file():
        yield Candidate(folder, _text(folder.name))
        return
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of pictures")
    for path in _files(folder):
        name = _text(path.relative_to(folder).as_posix())
        if name in SOURCE_TABLES:
            continue
        if not file_types.is_candidate(path.name):
            result.leave(NOT_A_PICTURE, name)
        elif file_state(path) is None:
            result.rejected.append(Rejected(name, NOT_REGULAR))
        else:
            yield Candidate(path, name)


def settled_files(settle_seconds: float, result: IngestResult) -> dict[Provenance, list[Candidate]]:
    """The files in the inbox that have not changed for `settle_seconds`, by provenance. Others are left."""
    inbox = paths.inbox()
    settled: dict[Provenance, list[Candidate]] = {}
    by_folder: dict[Path, ProvenanceFile | str] = {}
    for path in _files(inbox):
        if path.name == FILE:
            continue
        name = _text(path.relative_to(inbox).as_posix())
        file = _provenance_file(path.parent, inbox, by_folder)
        source = provenance.from_folder(
            path.parent.relative_to(inbox).as_posix(), ProvenanceFile() if isinstance(file, str) else file
        )
        state = file_state(path)
        if source is None:
            result.leave("not below AI/<generator>/ or human/<origin>/", name)
        elif path.name.lower().endswith(PARTIAL):
            result.leave("still being copied, by its name", name)
        elif not file_types.is_candidate(path.name):
            result.leave(NOT_A_PICTURE, name)
        elif state is None:
            result.leave(NOT_REGULAR, name)
        elif isinstance(file, str):
            result.leave(file, name)
        elif time.time() - state.changed < settle_seconds:
            result.leave("just arrived", name)
        else:
            settled.setdefault(source, []).append(Candidate(path, name))
    return settled


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, in order, without hidden ones. Links to folders are not followed."""

    def fail(error: OSError) -> None:
        raise storage_error(error) or DataError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*names, *links]):
            if not name.startswith(".") and name not in JUNK_FILES:
                yield Path(parent) / name


def _provenance_file(folder: Path, inbox: Path, cache: dict[Path, ProvenanceFile | str]) -> ProvenanceFile | str:
    """The nearest provenance.toml in a folder or above it; an error message if it is unusable."""
    if folder not in cache:
        if file_state(folder / FILE) is not None:
            try:
                cache[folder] = provenance.read(folder / FILE)
            except DataError as error:
                cache[folder] = str(error)
        else:
            cache[folder] = ProvenanceFile() if folder == inbox else _provenance_file(folder.parent, inbox, cache)
    return cache[folder]


def _text(name: str) -> str:
    """A file name with the bytes that are not UTF-8 escaped."""
    return name.encode(errors="backslashreplace").decode()
