"""What is in a data set's folder now, without reading again what has not changed.

A walk (`listing`) gives sizes and modification times to compare with the facts cache; only files that differ are read.
The digest that comes out covers names and contents, so a touched or moved folder has the same one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import compute
from artdetect.core import digests, paths
from artdetect.core.errors import DataError
from artdetect.core.progress import Count
from artdetect.index.listing import PictureRoot, find_root, listing, picture_roots
from artdetect.index.metadata_cache import MetadataCache

if TYPE_CHECKING:
    import pyarrow as pa

NOTICE = "NOTICE.txt"  # what a data set says of itself
CHUNK = 2_000  # pictures read between two saves of the cache: what a kill can cost
QUICK_SCAN_LIMIT = 256 << 20  # bytes that `glance` may read to see whether touched files really changed


@dataclass(frozen=True)
class DataSetState:
    """A data set's state. `digest` is None where contents are not known yet (see `glance`)."""

    places: tuple[PictureRoot, ...]  # the data set's folder is the last
    digest: str | None
    contents: "pa.Table"  # see `contents`; sorted by path
    skipped: dict[str, list[str]]  # why -> paths that are not indexed

    @property
    def root(self) -> Path:
        """The data set's folder."""
        return self.places[-1].folder


def scan(folder: Path, progress: Count | None = None, incoming: bool = False) -> DataSetState:
    """The state of the data set in `folder`, reading files that are new or differ in size or modification time.

    With `incoming`, also of the pictures that came in since. What was read is kept in the facts cache, chunk by chunk,
    so a killed scan goes on where it was. Of two scans at once one waits and finds everything read.
    """
    found = picture_roots(find_root(folder), incoming)
    return _pictures(found, [scanned(place, progress) for place in found])


def quick_scan(folder: Path, incoming: bool = False) -> DataSetState:
    """Like `scan`, in about a second: new files stay unread, and then the digest is None.

    Files with a new time but the old size are read and compared, up to `GLANCE_LIMIT` bytes together.
    """
    found = picture_roots(find_root(folder), incoming)
    return _pictures(found, [_glanced(place) for place in found])


def scanned(place: PictureRoot, progress: Count | None = None) -> "tuple[pa.Table, dict[str, list[str]]]":
    """The facts of a folder's pictures, sorted by path, and what is not indexed, by reason."""
    from filelock import FileLock

    cache = MetadataCache(place.folder)
    cache.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.folder.with_name(cache.folder.name + ".lock")):
        listed, skipped = listing(place)
        kept = cache.load()
        known = _matched(listed, kept)
        unread = listed.filter(_to_read(listed, known))
        _read(place, unread, cache, progress)
        if len(unread) or len(kept) != len(listed):
            known = _matched(listed, cache.load())
            if contents(known)["state"].null_count:
                raise DataError(f"{cache.folder} was deleted or damaged while {place.folder} was read: run again")
            cache.merge(known)
    return known, skipped


def _glanced(place: PictureRoot) -> "tuple[pa.Table, dict[str, list[str]]]":
    import pyarrow as pa
    import pyarrow.compute as pc

    listed, skipped = listing(place)
    known = _matched(listed, MetadataCache(place.folder).load(["path", "bytes", "mtime_ns", "sha256", "error"]))
    unread = _to_read(listed, known)
    left, rows = QUICK_SCAN_LIMIT, []
    for file, row in zip(_rows(listed.filter(unread)), _rows(known.filter(unread)), strict=True):
        same = row["bytes"] == file["bytes"]
        read = same and file["bytes"] <= left
        left -= file["bytes"] if read else 0
        sha256 = _sha256(paths.picture(place.folder, file["path"])) if read else None
        known_error = row["error"] if read or (same and row["mtime_ns"] == file["mtime_ns"]) else None
        rows.append(file | {"sha256": sha256, "error": known_error})
    if rows:
        known = pa.concat_tables([known.filter(pc.invert(unread)), pa.Table.from_pylist(rows, known.schema)])
    return known.sort_by("path"), skipped


def metadata_of(pictures: DataSetState) -> "pa.Table":
    """The facts of a scanned data set's pictures, one row each, sorted by path.

    DataError where another scan has since found other contents, or the cache was deleted.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.concat_tables([MetadataCache(place.folder).load() for place in pictures.places])
    facts = _matched(pictures.contents, known)
    changed = pc.invert(_same(contents(facts), pictures.contents, ["bytes", "state"]))
    if pc.any(changed).as_py():
        path = pictures.contents.filter(changed)["path"][0].as_py()
        raise DataError(f"{paths.picture(pictures.root, path)} changed while it was indexed: run again")
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


def _pictures(
    found: tuple[PictureRoot, ...], states: "Sequence[tuple[pa.Table, dict[str, list[str]]]]"
) -> DataSetState:
    import pyarrow as pa

    state = pa.concat_tables([contents(facts) for facts, _ in states])  # incoming/… before test/… before train/…
    skipped: dict[str, list[str]] = {}
    for _, left_out in states:
        for reason, names in left_out.items():
            skipped[reason] = [*skipped.get(reason, []), *names]
    skipped = {reason: sorted(names) for reason, names in sorted(skipped.items())}
    digest = None
    if not state["state"].null_count:
        digest = digests.value_digest([_digest(state), skipped, _sha256(found[-1].folder / NOTICE)])
    return DataSetState(found, digest, state, skipped)


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
        return digests.file_digest(path) if path.is_file() else None
    except OSError:
        return None


def _read(place: PictureRoot, files: "pa.Table", cache: MetadataCache, progress: Count | None) -> None:
    """Read the facts of listed files into the cache."""
    done, rows = 0, list[dict[str, Any]]()
    for _, read in compute.chunks(partial(_facts, place.folder), _rows(files), compute.WORKER_CHUNK):
        rows += read
        if len(rows) >= CHUNK or done + len(rows) == len(files):
            cache.add(rows)
            done, rows = done + len(rows), []
            if progress:
                progress(done, len(files))


def _facts(folder: Path, files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A worker's part: the rows of these listed files."""
    from artdetect.index.file_metadata import file_metadata

    return [{**file_metadata(paths.picture(folder, file["path"])), **file} for file in files]
