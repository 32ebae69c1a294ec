"""Which pictures a data set's folder holds, and those that came in since: by name, size and time, without reading."""

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import paths
from artdetect.core.errors import DataError, storage_error
from artdetect.pictures import images, labels

if TYPE_CHECKING:
    import pyarrow as pa

JUNK_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what looking at a folder leaves in it
PROVENANCE = "provenance"  # the folder among incoming pictures that says where they come from


@dataclass(frozen=True)
class PictureRoot:
    """A folder of pictures, and what stands before their names in the index: nothing, but for incoming ones."""

    folder: Path
    prefix: str = ""


def picture_roots(root: Path, incoming: bool) -> tuple[PictureRoot, ...]:
    """The data set's folder, and the one of incoming pictures if they are wanted and there is one."""
    if not incoming or not paths.incoming().is_dir():
        return (PictureRoot(root),)
    return (PictureRoot(paths.incoming(), f"{labels.INCOMING}/"), PictureRoot(root))


def find_root(folder: Path) -> Path:
    """The folder at or below `folder` that holds train/ or test/; DataError where there is none within three levels."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of pictures. Check download.url")
    level = [folder]
    for _ in range(4):
        for candidate in level:
            if any((candidate / split).is_dir() for split in labels.SPLITS):
                return candidate
        level = [
            Path(child)
            for parent in level
            for child in sorted(_entries(parent), key=lambda entry: entry.name)
            if Path(child).is_dir()
        ]
    raise DataError(
        f"{folder}: found no train/ or test/ folder in it. Expected AI-ArtBench's layout: "
        "train/<style>/ for human art, train/AI_<GENERATOR>_<style>/ for AI, the same below test/"
    )


def listing(place: PictureRoot) -> "tuple[pa.Table, dict[str, list[str]]]":
    """The pictures that follow the folder grammar, sorted by path, and the files that are left out, by reason.

    Paths are those of the index. What is hidden among incoming pictures, such as one half stored, is not there yet.
    """
    import pyarrow as pa

    wanted: list[tuple[str, int, int]] = []
    skipped: dict[str, list[str]] = {}
    above = len(os.path.join(place.folder, ""))  # noqa: PTH118  as scandir joins
    for entry in _walk(place.folder):
        if entry.name in JUNK_FILES or (place.prefix and _is_private(entry.path[above:])):
            continue
        path = place.prefix + entry.path[above:]
        if reason := _why_skipped(path, place.prefix):
            skipped.setdefault(reason, []).append(path.encode(errors="backslashreplace").decode())
            continue
        try:
            stat = entry.stat()
            wanted.append((path, stat.st_size, stat.st_mtime_ns))
        except OSError:  # a broken link: a row that says so
            wanted.append((path, 0, 0))
    wanted.sort()
    paths, sizes, times = zip(*wanted, strict=True) if wanted else ((), (), ())
    listed = pa.table([_strings(paths), _integers(sizes), _integers(times)], ["path", "bytes", "mtime_ns"])
    return listed, {reason: sorted(found) for reason, found in sorted(skipped.items())}


# `pyarrow.array` imports pandas, which takes longer than looking at 10,000 files.


def _strings(values: Sequence[str]) -> "pa.Array":
    import pyarrow as pa

    encoded = [value.encode() for value in values]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    return pa.Array.from_buffers(pa.string(), len(values), [None, *map(pa.py_buffer, (offsets, b"".join(encoded)))])


def _integers(values: Sequence[int]) -> "pa.Array":
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values))])


def _walk(folder: Path | str, around: tuple[os.stat_result, ...] = ()) -> Iterator[os.DirEntry[str]]:
    """All that is no folder. Links to folders are followed, but not back into a folder they stand in."""
    entries = _entries(folder)
    around = (*around, os.stat(folder))  # noqa: PTH116
    for entry in entries:
        if _is_folder(entry) and not (entry.is_symlink() and _is_one_of(entry.stat(), around)):
            yield from _walk(entry.path, around)
        else:
            yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_one_of(folder: os.stat_result, others: tuple[os.stat_result, ...]) -> bool:
    return any(os.path.samestat(folder, other) for other in others)


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise storage_error(error) or DataError(f"{folder}: cannot be listed ({error.strerror})") from error


def _is_private(path: str) -> bool:
    """Whether a file among the incoming ones is no picture that came in: hidden, or their provenance."""
    parts = path.split("/")
    return parts[0] == PROVENANCE or any(part.startswith(".") for part in parts)


def _why_skipped(path: str, prefix: str) -> str | None:
    folder, _, name = path.rpartition("/")
    if not images.is_candidate(name):
        return "not a picture by its name"
    if not path.isprintable() and any("\ud800" <= character <= "\udfff" for character in path):
        return "name is not valid UTF-8"
    return _why_folder_skipped(folder, prefix)


@lru_cache(maxsize=1024)
def _why_folder_skipped(folder: str, prefix: str) -> str | None:
    if prefix:
        follows = labels.incoming(folder.removeprefix(prefix))
        return None if follows else "not below incoming/AI/<generator>/ or incoming/human/<origin>/"
    parts = folder.split("/")
    if len(parts) < 2 or parts[0] not in labels.SPLITS:
        return "not below train/<style>/ or test/<style>/"
    if labels.origin(parts[1]) is None:
        return "folder name says neither AI nor human"
    if any(part.startswith(".") or part == "__MACOSX" for part in parts[2:]):
        return "in a hidden folder"
    return None
