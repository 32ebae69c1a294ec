"""What is in a folder of pictures now, without reading again what has not changed.

A walk compares size and modification time with the facts cache; only files that differ are read. The digest that comes
out covers names and contents, so a touched or moved folder has the same one.
"""

import hashlib
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import compute, digests, images, labels
from artdetect.errors import DataError, storage_error
from artdetect.index.cache import FactsCache
from artdetect.progress import Count

if TYPE_CHECKING:
    import pyarrow as pa

NOTICE = "NOTICE.txt"  # what a data set says of itself
CHUNK = 2_000  # pictures read between two saves of the cache: what a kill can cost
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what looking at a folder leaves in it
GLANCE_LIMIT = 256 << 20  # bytes that `glance` may read to see whether touched files really changed


@dataclass(frozen=True)
class Pictures:
    """A folder's state. `digest` is None where contents are not known yet (see `glance`)."""

    root: Path
    digest: str | None
    contents: "pa.Table"  # see `contents`; sorted by path
    skipped: dict[str, list[str]]  # why -> paths that are not indexed


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


def scan(folder: Path, progress: Count | None = None) -> Pictures:
    """The state of the data set in `folder`, reading files that are new or differ in size or modification time.

    What was read is kept in the facts cache, chunk by chunk, so a killed scan goes on where it was. Of two scans at
    once one waits and finds everything read.
    """
    from filelock import FileLock

    root = find_root(folder)
    cache = FactsCache(root)
    cache.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.folder.with_name(cache.folder.name + ".lock")):
        listed, skipped = _listing(root)
        kept = cache.load()
        known = _matched(listed, kept)
        unread = listed.filter(_to_read(listed, known))
        _read(root, unread, cache, progress)
        if len(unread) or len(kept) != len(listed):
            known = _matched(listed, cache.load())
            if contents(known)["state"].null_count:
                raise DataError(f"{cache.folder} was deleted or damaged while {root} was read: run again")
            cache.merge(known)
    return _pictures(root, known, skipped)


def glance(folder: Path) -> Pictures:
    """Like `scan`, in about a second: new files stay unread, and then the digest is None.

    Files with a new time but the old size are read and compared, up to `GLANCE_LIMIT` bytes together.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    root = find_root(folder)
    listed, skipped = _listing(root)
    known = _matched(listed, FactsCache(root).load(["path", "bytes", "mtime_ns", "sha256", "error"]))
    unread = _to_read(listed, known)
    left, rows = GLANCE_LIMIT, []
    for file, row in zip(_rows(listed.filter(unread)), _rows(known.filter(unread)), strict=True):
        same = row["bytes"] == file["bytes"]
        read = same and file["bytes"] <= left
        left -= file["bytes"] if read else 0
        sha256 = _sha256(root / file["path"]) if read else None
        known_error = row["error"] if read or (same and row["mtime_ns"] == file["mtime_ns"]) else None
        rows.append(file | {"sha256": sha256, "error": known_error})
    if rows:
        known = pa.concat_tables([known.filter(pc.invert(unread)), pa.Table.from_pylist(rows, known.schema)])
    return _pictures(root, known.sort_by("path"), skipped)


def facts_of(pictures: Pictures) -> "pa.Table":
    """The facts of a scanned folder's pictures, one row each, sorted by path.

    DataError where another scan has since found other contents, or the cache was deleted.
    """
    import pyarrow.compute as pc

    facts = _matched(pictures.contents, FactsCache(pictures.root).load())
    changed = pc.invert(_same(contents(facts), pictures.contents, ["bytes", "state"]))
    if pc.any(changed).as_py():
        path = pictures.contents.filter(changed)["path"][0].as_py()
        raise DataError(f"{pictures.root / path} changed while it was indexed: run again")
    return facts


def differences(old: "pa.Table", new: "pa.Table") -> list[str]:
    """In words, what differs between two `Contents`: pictures added, removed, replaced."""
    before, now = ({path: (size, state) for path, size, state in _tuples(table)} for table in (old, new))
    counts = {
        "added": len(now.keys() - before.keys()),
        "removed": len(before.keys() - now.keys()),
        "replaced": sum(before[path] != now[path] for path in before.keys() & now.keys()),
    }
    return [f"{n} {'picture' if n == 1 else 'pictures'} {what}" for what, n in counts.items() if n]


def contents(facts: "pa.Table") -> "pa.Table":
    """The `Contents` that rows with path, bytes, sha256 and error tell.

    `state` is a picture's content as the digest sees it: its sha256, the reason where it cannot be read, null where it
    has not been read yet.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    state = pc.coalesce(facts["sha256"], facts["error"])
    return pa.table({"path": facts["path"], "bytes": facts["bytes"], "state": state})


def _pictures(root: Path, facts: "pa.Table", skipped: dict[str, list[str]]) -> Pictures:
    found = contents(facts)
    digest = None
    if not found["state"].null_count:
        digest = digests.of_value([_digest(found), skipped, _sha256(root / NOTICE)])
    return Pictures(root, digest, found, skipped)


def _digest(found: "pa.Table") -> str:
    digest = hashlib.sha256()
    for path, size, state in _tuples(found):
        digest.update(f"{path}\0{size}\0{state}\n".encode())
    return digest.hexdigest()


def _tuples(table: "pa.Table") -> Iterator[tuple[Any, ...]]:
    """Row by row, without holding all of them as Python objects."""
    for batch in table.to_batches(max_chunksize=4096):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _rows(table: "pa.Table") -> Iterator[dict[str, Any]]:
    for values in _tuples(table):
        yield dict(zip(table.column_names, values, strict=True))


def _matched(listed: "pa.Table", known: "pa.Table") -> "pa.Table":
    """For each listed path the newest known row, nulls where there is none; the path itself always."""
    import pyarrow.compute as pc

    rows = known.take(pc.index_in(listed["path"], value_set=known["path"]))
    return rows.set_column(rows.column_names.index("path"), "path", listed["path"])


def _to_read(listed: "pa.Table", known: "pa.Table") -> "pa.ChunkedArray":
    """Which files are to be read: what could not be read is tried again, since permissions leave no time stamp."""
    import pyarrow.compute as pc

    return pc.invert(pc.and_(_same(listed, known, ["bytes", "mtime_ns"]), pc.is_valid(known["sha256"])))


def _same(one: "pa.Table", other: "pa.Table", columns: Sequence[str]) -> "pa.ChunkedArray":
    """Whether these columns agree, row by row; null agrees with nothing."""
    import pyarrow.compute as pc

    equal = [pc.equal(one[name], other[name]) for name in columns]
    return reduce(pc.and_, [pc.coalesce(known, pc.is_valid(known)) for known in equal])


def _sha256(path: Path) -> str | None:
    """Of a file's content; None where it cannot be read."""
    try:
        return digests.of_file(path) if path.is_file() else None
    except OSError:
        return None


def _listing(root: Path) -> "tuple[pa.Table, dict[str, list[str]]]":
    """The pictures that follow the folder grammar, sorted by path, and the files that are left out, by reason."""
    import pyarrow as pa

    wanted: list[tuple[str, int, int]] = []
    skipped: dict[str, list[str]] = {}
    above = len(os.path.join(root, ""))  # noqa: PTH118  as scandir joins
    for entry in _walk(root):
        if entry.name in LITTER:
            continue
        path = entry.path[above:]
        if reason := _why_skipped(path):
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


def _why_skipped(path: str) -> str | None:
    folder, _, name = path.rpartition("/")
    if not images.is_candidate(name):
        return "not a picture by its name"
    if not path.isprintable() and any("\ud800" <= character <= "\udfff" for character in path):
        return "name is not valid UTF-8"
    return _why_folder_skipped(folder)


@lru_cache(maxsize=1024)
def _why_folder_skipped(folder: str) -> str | None:
    parts = folder.split("/")
    if len(parts) < 2 or parts[0] not in labels.SPLITS:
        return "not below train/<style>/ or test/<style>/"
    if labels.origin(parts[1]) is None:
        return "folder name says neither AI nor human"
    if any(part.startswith(".") or part == "__MACOSX" for part in parts[2:]):
        return "in a hidden folder"
    return None


def _read(root: Path, files: "pa.Table", cache: FactsCache, progress: Count | None) -> None:
    """Read the facts of listed files into the cache."""
    done, rows = 0, list[dict[str, Any]]()
    for _, read in compute.chunks(partial(_facts, root), _rows(files), compute.PIECE):
        rows += read
        if len(rows) >= CHUNK or done + len(rows) == len(files):
            cache.add(rows)
            done, rows = done + len(rows), []
            if progress:
                progress(done, len(files))


def _facts(root: Path, files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A worker's part: the rows of these listed files."""
    from artdetect.index.facts import facts

    return [{**facts(root / file["path"]), **file} for file in files]
