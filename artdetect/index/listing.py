"""List the pictures of a data set and the incoming ones by name, size and time, without reading them."""

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import paths
from artdetect.core.errors import DataError, storage_error
from artdetect.pictures import file_types, labels

if TYPE_CHECKING:
    import pyarrow as pa

NOTICE = "NOTICE.txt"  # a note from the data set about itself, beside train/ and test/
JUNK_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # created by file browsers
SOURCE_TABLES = ("sources.csv", "sources.parquet")  # beside train/ and test/, or beside pictures to ingest
BESIDE = (NOTICE, *SOURCE_TABLES)  # files beside train/ and test/ that belong to a data set
PROVENANCE = "provenance"  # the folder of provenance records among the incoming pictures


@dataclass(frozen=True)
class PictureRoot:
    """A folder of pictures."""

    folder: Path
    prefix: str = ""  # of their paths in the index: "incoming/", or "<data set>/" if several are used together
    table: Path | None = None  # the table of sources, if it is not beside the pictures

    @property
    def is_incoming(self) -> bool:
        """Whether it is the folder of incoming pictures."""
        return self.prefix == f"{labels.INCOMING}/"

    @property
    def name(self) -> str:
        """The name of the data set; empty if it is the only one."""
        return self.prefix.rstrip("/")

    def file(self, path: str) -> Path:
        """The file of a path in the index."""
        return self.folder / path[len(self.prefix) :]


Tables = Mapping[str, Path | None]  # name of each data set -> its table of sources, if that is not beside the pictures
ONE_DATA_SET: Tables = {"": None}


def picture_roots(folder: Path, incoming: bool, tables: Tables = ONE_DATA_SET) -> tuple[PictureRoot, ...]:
    """The folders of the pictures, in the order of their paths in the index.

    Args:
        folder: The folder that holds the data set, or a folder of each data set by its name.
        incoming: Whether to include the folder of incoming pictures, if it exists.
        tables: The name of each data set, empty if it is the only one, and its table of sources.

    Raises:
        DataError: A data set has no train/ or test/ folder.
    """
    roots = [
        PictureRoot(_named_root(folder / name) if name else find_root(folder), f"{name}/" if name else "", table)
        for name, table in tables.items()
    ]
    if incoming and paths.incoming().is_dir():
        roots.append(PictureRoot(paths.incoming(), f"{labels.INCOMING}/"))
    return tuple(sorted(roots, key=lambda root: root.prefix or labels.SPLITS[0]))


def _named_root(folder: Path) -> Path:
    if not labels.has_splits(folder):
        raise DataError(f"data set {folder.name}: found no train/ or test/ folder in {folder.resolve()}")
    return folder


def find_root(folder: Path) -> Path:
    """The folder that holds train/ or test/: `folder` or one at most three levels below.

    Raises:
        DataError: There is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of pictures. Check download.url")
    level = [folder]
    for _ in range(4):
        for candidate in level:
            if labels.has_splits(candidate):
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


def listing(root: PictureRoot) -> "tuple[pa.Table, dict[str, list[str]]]":
    """List the pictures in a folder.

    Hidden files among incoming pictures, for instance half-written ones, are ignored.

    Returns:
        A table of path (as in the index), bytes and mtime_ns, sorted by path, and the skipped files by reason.
    """
    import pyarrow as pa

    pictures: list[tuple[str, int, int]] = []
    skipped: dict[str, list[str]] = {}
    start = len(os.path.join(root.folder, ""))  # noqa: PTH118  joined in the same way as by scandir
    for entry in _walk(root.folder):
        inside = entry.path[start:]
        if entry.name in JUNK_FILES or (_is_private(inside) if root.is_incoming else inside in BESIDE):
            continue
        path = root.prefix + inside
        if reason := _skip_reason(inside, root.is_incoming):
            skipped.setdefault(reason, []).append(path.encode(errors="backslashreplace").decode())
            continue
        try:
            stat = entry.stat()
            pictures.append((path, stat.st_size, stat.st_mtime_ns))
        except OSError:  # a broken link becomes a row with an error
            pictures.append((path, 0, 0))
    pictures.sort()
    paths, sizes, times = zip(*pictures, strict=True) if pictures else ((), (), ())
    listed = pa.table([_strings(paths), _integers(sizes), _integers(times)], ["path", "bytes", "mtime_ns"])
    return listed, {reason: sorted(files) for reason, files in sorted(skipped.items())}


# Not `pyarrow.array`: it imports pandas, which takes longer than listing 10,000 files.


def _strings(values: Sequence[str]) -> "pa.Array":
    import pyarrow as pa

    encoded = [value.encode() for value in values]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    return pa.Array.from_buffers(pa.string(), len(values), [None, *map(pa.py_buffer, (offsets, b"".join(encoded)))])


def _integers(values: Sequence[int]) -> "pa.Array":
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values))])


def _walk(folder: Path | str, parents: tuple[os.stat_result, ...] = ()) -> Iterator[os.DirEntry[str]]:
    """All files below a folder. Links to folders are followed, except back into a folder that contains the link."""
    entries = _entries(folder)
    parents = (*parents, os.stat(folder))  # noqa: PTH116
    for entry in entries:
        if _is_folder(entry) and not (entry.is_symlink() and _is_one_of(entry.stat(), parents)):
            yield from _walk(entry.path, parents)
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
    """Whether a file below data/incoming is hidden or a provenance record."""
    parts = path.split("/")
    return parts[0] == PROVENANCE or any(part.startswith(".") for part in parts)


def _skip_reason(path: str, incoming: bool) -> str | None:
    """Why a file is not indexed; None if it is.

    Args:
        path: Its path below the root.
        incoming: Whether the root is the folder of incoming pictures.
    """
    folder, _, name = path.rpartition("/")
    if not file_types.is_candidate(name):
        return "not a picture by its name"
    if not path.isprintable() and any("\ud800" <= character <= "\udfff" for character in path):
        return "name is not valid UTF-8"
    return _folder_skip_reason(folder, incoming)


@lru_cache(maxsize=1024)
def _folder_skip_reason(folder: str, incoming: bool) -> str | None:
    if incoming:
        is_valid = labels.incoming(folder) is not None
        return None if is_valid else "not below incoming/AI/<generator>/ or incoming/human/<origin>/"
    parts = folder.split("/")
    if len(parts) < 2 or parts[0] not in labels.SPLITS:
        return "not below train/<style>/ or test/<style>/"
    if labels.origin(parts[1]) is None:
        return "folder name says neither AI nor human"
    if any(part.startswith(".") or part == "__MACOSX" for part in parts[2:]):
        return "in a hidden folder"
    return None
