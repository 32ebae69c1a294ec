"""Determine the current state of a data set, reading only the files that changed.

`listing` gives sizes and modification times, which are compared with the metadata cache. Only files that differ are
read. The resulting digest covers names, contents and given sources, so a touched or moved folder has the same digest.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import compute
from artdetect.core import digests
from artdetect.core.errors import DataError
from artdetect.core.progress import Count
from artdetect.index import sources
from artdetect.index.listing import NOTICE, ONE_DATA_SET, PictureRoot, Tables, listing, picture_roots
from artdetect.index.metadata_cache import MetadataCache

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 2_000  # pictures read between two saves of the cache: the most that a kill can lose
QUICK_SCAN_LIMIT = 256 << 20  # bytes that `quick_scan` may read to check whether touched files really changed


@dataclass(frozen=True)
class DataSetState:
    """The state of the data sets."""

    roots: tuple[PictureRoot, ...]  # sorted by the paths of their pictures in the index
    digest: str | None  # None while some contents are unknown, see `quick_scan`
    contents: "pa.Table"  # see the function `contents`; sorted by path
    skipped: dict[str, list[str]]  # reason -> paths that are not indexed
    sources: dict[str, str]  # path -> source, where one is given; see `sources.given_sources`

    @property
    def data_sets(self) -> tuple[PictureRoot, ...]:
        """The roots without that of incoming pictures."""
        return tuple(root for root in self.roots if not root.is_incoming)


def scan(
    folder: Path, progress: Count | None = None, incoming: bool = False, tables: Tables = ONE_DATA_SET
) -> DataSetState:
    """The state of the data sets in `folder`, reading files that are new or differ in size or modification time.

    The metadata cache is saved chunk by chunk, so that a killed scan resumes. If two scans run at once, one waits for
    the other and then reads nothing.

    Args:
        folder: The folder that holds the data set, at most three levels above train/ and test/; or a folder with a
            folder of each data set by its name.
        progress: Called with the number of pictures read and to read after each chunk.
        incoming: Whether to include the pictures in data/incoming.
        tables: The names and tables of the data sets, see `listing.picture_roots`.
    """
    roots = picture_roots(folder, incoming, tables)
    return _state(roots, [scan_root(root, progress) for root in roots])


def quick_scan(folder: Path, incoming: bool = False, tables: Tables = ONE_DATA_SET) -> DataSetState:
    """The state of the data sets in about a second: new files are not read, and then the digest is None.

    Files with a new time but the old size are read and compared, up to `QUICK_SCAN_LIMIT` bytes in total.
    """
    roots = picture_roots(folder, incoming, tables)
    return _state(roots, [_quick_scan_root(root) for root in roots])


def scan_root(root: PictureRoot, progress: Count | None = None) -> "tuple[pa.Table, dict[str, list[str]]]":
    """The metadata of the pictures in a folder, sorted by path, and the skipped files by reason."""
    from filelock import FileLock

    cache = MetadataCache(root.folder, root.prefix)
    cache.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.folder.with_name(cache.folder.name + ".lock")):
        listed, skipped = listing(root)
        cached = cache.load()
        known = _matching_rows(listed, cached)
        unread = listed.filter(_must_read(listed, known))
        _read(root, unread, cache, progress)
        if len(unread) or len(cached) != len(listed):
            known = _matching_rows(listed, cache.load())
            if contents(known)["state"].null_count:
                raise DataError(f"{cache.folder} was deleted or damaged while {root.folder} was read: run again")
            cache.merge(known)
    return known, skipped


def _quick_scan_root(root: PictureRoot) -> "tuple[pa.Table, dict[str, list[str]]]":
    import pyarrow as pa
    import pyarrow.compute as pc

    listed, skipped = listing(root)
    columns = ["path", "bytes", "mtime_ns", "sha256", "error"]
    known = _matching_rows(listed, MetadataCache(root.folder, root.prefix).load(columns))
    unread = _must_read(listed, known)
    left, rows = QUICK_SCAN_LIMIT, []
    for file, row in zip(_rows(listed.filter(unread)), _rows(known.filter(unread)), strict=True):
        same = row["bytes"] == file["bytes"]
        read = same and file["bytes"] <= left
        left -= file["bytes"] if read else 0
        sha256 = _sha256(root.file(file["path"])) if read else None
        known_error = row["error"] if read or (same and row["mtime_ns"] == file["mtime_ns"]) else None
        rows.append(file | {"sha256": sha256, "error": known_error})
    if rows:
        known = pa.concat_tables([known.filter(pc.invert(unread)), pa.Table.from_pylist(rows, known.schema)])
    return known.sort_by("path"), skipped


def metadata_of(pictures: DataSetState) -> "pa.Table":
    """The metadata of the pictures of a scanned data set, one row each, sorted by path.

    Raises:
        DataError: Another scan has since found other contents, or the cache was deleted.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.concat_tables([MetadataCache(root.folder, root.prefix).load() for root in pictures.roots])
    metadata = _matching_rows(pictures.contents, known)
    changed = pc.invert(_same(contents(metadata), pictures.contents, ["bytes", "state"]))
    if pc.any(changed).as_py():
        path = pictures.contents.filter(changed)["path"][0].as_py()
        root = next(root for root in pictures.roots if path.startswith(root.prefix))
        raise DataError(f"{root.file(path)} changed while it was indexed: run again")
    return metadata


def differences(old: "pa.Table", new: "pa.Table") -> list[str]:
    """Describe how two tables of `contents` differ: the numbers of pictures added, removed and replaced."""
    before, now = ({path: (size, state) for path, size, state in _tuples(table)} for table in (old, new))
    counts = {
        "added": len(now.keys() - before.keys()),
        "removed": len(before.keys() - now.keys()),
        "replaced": sum(before[path] != now[path] for path in before.keys() & now.keys()),
    }
    return [f"{n} {'picture' if n == 1 else 'pictures'} {what}" for what, n in counts.items() if n]


def contents(metadata: "pa.Table") -> "pa.Table":
    """The columns path, bytes and state, from rows with path, bytes, sha256 and error.

    `state` identifies the content of a picture: its sha256, or the reason why it cannot be read, or null if it has not
    been read yet.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    state = pc.coalesce(metadata["sha256"], metadata["error"])
    return pa.table({"path": metadata["path"], "bytes": metadata["bytes"], "state": state})


def _state(roots: tuple[PictureRoot, ...], scans: "Sequence[tuple[pa.Table, dict[str, list[str]]]]") -> DataSetState:
    import pyarrow as pa

    state = pa.concat_tables([contents(metadata) for metadata, _ in scans])  # sorted by path, as the roots are
    skipped: dict[str, list[str]] = {}
    for _, skipped_files in scans:
        for reason, names in skipped_files.items():
            skipped[reason] = [*skipped.get(reason, []), *names]
    skipped = {reason: sorted(names) for reason, names in sorted(skipped.items())}
    given = sources.given_sources(roots, state["path"].to_pylist())
    digest = None
    if not state["state"].null_count:
        notices = [_sha256(root.folder / NOTICE) for root in roots if not root.is_incoming]
        lines = "".join(f"{path}\0{source}\n" for path, source in given.items())
        beside = [*notices, *([hashlib.sha256(lines.encode()).hexdigest()] if given else [])]
        digest = digests.value_digest([_digest(state), skipped, *beside])
    return DataSetState(roots, digest, state, skipped, given)


def _digest(contents: "pa.Table") -> str:
    digest = hashlib.sha256()
    for path, size, state in _tuples(contents):
        digest.update(f"{path}\0{size}\0{state}\n".encode())
    return digest.hexdigest()


def _tuples(table: "pa.Table") -> Iterator[tuple[Any, ...]]:
    """The rows one by one, without holding all of them as Python objects."""
    for batch in table.to_batches(max_chunksize=4096):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _rows(table: "pa.Table") -> Iterator[dict[str, Any]]:
    for values in _tuples(table):
        yield dict(zip(table.column_names, values, strict=True))


def _matching_rows(listed: "pa.Table", known: "pa.Table") -> "pa.Table":
    """The newest known row for each listed path; all nulls but the path if there is none."""
    import pyarrow.compute as pc

    rows = known.take(pc.index_in(listed["path"], value_set=known["path"]))
    return rows.set_column(rows.column_names.index("path"), "path", listed["path"])


def _must_read(listed: "pa.Table", known: "pa.Table") -> "pa.ChunkedArray":
    """Which files to read. Files that could not be read are tried again: permissions leave no time stamp."""
    import pyarrow.compute as pc

    return pc.invert(pc.and_(_same(listed, known, ["bytes", "mtime_ns"]), pc.is_valid(known["sha256"])))


def _same(one: "pa.Table", other: "pa.Table", columns: Sequence[str]) -> "pa.ChunkedArray":
    """Whether these columns are equal, row by row. Null equals nothing."""
    import pyarrow.compute as pc

    equal = [pc.equal(one[name], other[name]) for name in columns]
    return reduce(pc.and_, [pc.coalesce(known, pc.is_valid(known)) for known in equal])


def _sha256(path: Path) -> str | None:
    """The digest of a file; None if it cannot be read."""
    try:
        return digests.file_digest(path) if path.is_file() else None
    except OSError:
        return None


def _read(root: PictureRoot, files: "pa.Table", cache: MetadataCache, progress: Count | None) -> None:
    """Read the metadata of listed files into the cache."""
    done, rows = 0, list[dict[str, Any]]()
    for _, chunk in compute.chunks(partial(_read_metadata, root), _rows(files), compute.WORKER_CHUNK):
        rows += chunk
        if len(rows) >= CHUNK or done + len(rows) == len(files):
            cache.add(rows)
            done, rows = done + len(rows), []
            if progress:
                progress(done, len(files))


def _read_metadata(root: PictureRoot, files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read the metadata of listed files, on a worker."""
    from artdetect.index.file_metadata import file_metadata

    return [{**file_metadata(root.file(file["path"])), **file} for file in files]
