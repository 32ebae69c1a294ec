"""Which files wait to be taken: those of a folder that was given, and those in the inbox that have settled."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artdetect.core import paths
from artdetect.core.errors import DataError, storage_error
from artdetect.index.listing import JUNK_FILES
from artdetect.ingest import provenance
from artdetect.ingest.provenance import FILE, Provenance, ProvenanceFile
from artdetect.ingest.result import IngestResult, Rejected
from artdetect.pictures import images

PARTIAL = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp")  # of programs that copy
A_LINK = "a link, or no regular file: put the picture itself here"
NO_PICTURE = "not a picture by its name"


@dataclass(frozen=True)
class Candidate:
    """A file to look at."""

    path: Path
    name: str  # from the folder that was given, or from the inbox; printable as UTF-8


@dataclass(frozen=True)
class FileState:
    """By which a file is seen to change."""

    bytes: int
    mtime_ns: int
    inode: int
    changed: float  # seconds since 1970


def file_state(path: Path) -> FileState | None:
    """The state of a regular file; None where there is none, or something else, which is not followed or opened."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    # A modification time to come, from a wrong clock, says nothing: then the time of the last change of any kind does.
    changed = found.st_mtime if found.st_mtime <= time.time() else found.st_ctime
    return FileState(found.st_size, found.st_mtime_ns, found.st_ino, changed)


def files_in(place: Path, result: IngestResult) -> Iterator[Candidate]:
    """The pictures in a folder, at any depth and in order, or the one file that `place` is.

    Links and other things with a picture's name are rejected; what has no picture's name is left.

    Raises:
        DataError: there is no such folder.
    """
    if place.is_file():
        yield Candidate(place, _text(place.name))
        return
    if not place.is_dir():
        raise DataError(f"{place}: there is no such folder of pictures")
    for path in _files(place):
        name = _text(path.relative_to(place).as_posix())
        if not images.is_candidate(path.name):
            result.leave(NO_PICTURE, name)
        elif file_state(path) is None:
            result.rejected.append(Rejected(name, A_LINK))
        else:
            yield Candidate(path, name)


def settled_files(settle: float, result: IngestResult) -> dict[Provenance, list[Candidate]]:
    """The files in the inbox that have not changed for `settle` seconds, by what their folders say; others are left."""
    inbox = paths.inbox()
    found: dict[Provenance, list[Candidate]] = {}
    known: dict[Path, ProvenanceFile | str] = {}
    for path in _files(inbox):
        if path.name == FILE:
            continue
        name = _text(path.relative_to(inbox).as_posix())
        about = _about(path.parent, inbox, known)
        spoken = provenance.from_folder(
            path.parent.relative_to(inbox).as_posix(), ProvenanceFile() if isinstance(about, str) else about
        )
        now = file_state(path)
        if spoken is None:
            result.leave("not below AI/<generator>/ or human/<origin>/", name)
        elif path.name.lower().endswith(PARTIAL):
            result.leave("still being copied, by its name", name)
        elif not images.is_candidate(path.name):
            result.leave(NO_PICTURE, name)
        elif now is None:
            result.leave(A_LINK, name)
        elif isinstance(about, str):
            result.leave(about, name)
        elif time.time() - now.changed < settle:
            result.leave("just arrived", name)
        else:
            found.setdefault(spoken, []).append(Candidate(path, name))
    return found


def _files(folder: Path) -> Iterator[Path]:
    """All that is no folder, in order; links to folders are not followed. What is hidden is passed over."""

    def fail(error: OSError) -> None:
        raise storage_error(error) or DataError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*names, *links]):
            if not name.startswith(".") and name not in JUNK_FILES:
                yield Path(parent) / name


def _about(folder: Path, inbox: Path, known: dict[Path, ProvenanceFile | str]) -> ProvenanceFile | str:
    """What the nearest provenance.toml in a folder or above it says; what is wrong with it, where it is unusable."""
    if folder not in known:
        if file_state(folder / FILE) is not None:
            try:
                known[folder] = provenance.read(folder / FILE)
            except DataError as error:
                known[folder] = str(error)
        else:
            known[folder] = ProvenanceFile() if folder == inbox else _about(folder.parent, inbox, known)
    return known[folder]


def _text(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()
