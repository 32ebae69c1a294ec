"""What is in a folder of pictures now, without reading again what has not changed.

A walk compares size and modification time with the facts cache; only files that differ are read. The digest that comes
out covers names and contents, so a touched or moved folder has the same one.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import digests, images, labels, paths
from artdetect.errors import DataError, storage_error

if TYPE_CHECKING:
    import pyarrow as pa

Contents = dict[str, tuple[int, str | None]]  # path -> (bytes, see `state`)
NOTICE = "NOTICE.txt"  # what a data set says of itself
Progress = Callable[[int, int], None]
CHUNK = 2_000  # pictures read between two saves of the cache: what a kill can cost
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what looking at a folder leaves in it
GLANCE_LIMIT = 256 << 20  # bytes that `glance` may read to see whether touched files really changed


@dataclass(frozen=True)
class File:
    """One file below the data set's root."""

    path: str  # relative to the root, with /
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Pictures:
    """A folder's state. `digest` is None where contents are not known yet (see `glance`)."""

    root: Path
    digest: str | None
    contents: Contents
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


def scan(folder: Path, progress: Progress | None = None) -> Pictures:
    """The state of the data set in `folder`, reading files that are new or differ in size or modification time.

    What was read is kept in the facts cache, chunk by chunk, so a killed scan goes on where it was.
    """
    root = find_root(folder)
    wanted, skipped = _listing(root)
    known = _load_cache(root)
    unread = [file for file in wanted if not _is_known(known.get(file.path), file)]
    for start in range(0, len(unread), CHUNK):
        for row in _read(root, unread[start : start + CHUNK]):
            known[row["path"]] = row
        _save_cache(root, [known[file.path] for file in wanted if file.path in known])
        if progress:
            progress(min(start + CHUNK, len(unread)), len(unread))
    return _pictures(root, {file.path: known[file.path] for file in wanted}, skipped)


def glance(folder: Path) -> Pictures:
    """Like `scan`, in about a second: new files stay unread, and then the digest is None.

    Files with a new time but the old size are read and compared, up to `GLANCE_LIMIT` bytes together.
    """
    root = find_root(folder)
    wanted, skipped = _listing(root)
    known = _load_cache(root, columns=["path", "bytes", "mtime_ns", "sha256", "error"])
    left = GLANCE_LIMIT
    rows: dict[str, dict[str, Any]] = {}
    for file in wanted:
        row = known.get(file.path)
        if row is None or not _is_known(row, file):
            touched = row is not None and row["bytes"] == file.bytes and file.bytes <= left
            left -= file.bytes if touched else 0
            row = {
                "bytes": file.bytes,
                "sha256": _sha256(root / file.path) if touched else None,
                "error": row["error"] if row and touched else None,
            }
        rows[file.path] = row
    return _pictures(root, rows, skipped)


def facts_of(pictures: Pictures) -> "pa.Table":
    """The facts of a scanned folder's pictures, one row each, sorted by path.

    DataError where another scan has since found other contents, or the cache was deleted.
    """
    known = _load_cache(pictures.root)
    for path, content in pictures.contents.items():
        if path not in known or (known[path]["bytes"], state(known[path])) != content:
            raise DataError(f"{pictures.root / path} changed while it was indexed: run again")
    return _table([known[path] for path in sorted(pictures.contents)])


def state(row: dict[str, Any]) -> str | None:
    """A picture's content as the digest sees it: sha256, the reason where it cannot be read, None if not read yet."""
    return row["sha256"] or row["error"]


def differences(old: Contents, new: Contents) -> list[str]:
    """In words, what differs between two states of a folder: pictures added, removed, replaced."""
    counts = {
        "added": len(new.keys() - old.keys()),
        "removed": len(old.keys() - new.keys()),
        "replaced": sum(new[path] != old[path] for path in new.keys() & old.keys()),
    }
    return [f"{n} {'picture' if n == 1 else 'pictures'} {what}" for what, n in counts.items() if n]


def _pictures(root: Path, rows: dict[str, dict[str, Any]], skipped: dict[str, list[str]]) -> Pictures:
    contents: Contents = {path: (row["bytes"], state(row)) for path, row in rows.items()}
    digest = None
    if all(content is not None for _, content in contents.values()):
        listed = sorted((path, *content) for path, content in contents.items())
        digest = digests.of_value([listed, skipped, _sha256(root / NOTICE)])
    return Pictures(root, digest, contents, skipped)


def _sha256(path: Path) -> str | None:
    """Of a file's content; None where it cannot be read."""
    try:
        return digests.of_file(path) if path.is_file() else None
    except OSError:
        return None


def _listing(root: Path) -> tuple[list[File], dict[str, list[str]]]:
    """The pictures that follow the folder grammar, sorted by path, and the files that are left out, by reason."""
    wanted: list[File] = []
    skipped: dict[str, list[str]] = {}
    above = len(os.path.join(root, ""))  # noqa: PTH118  as scandir joins
    for entry in _walk(root):
        path = entry.path[above:]
        if entry.name in LITTER:
            continue
        if reason := _why_skipped(path):
            skipped.setdefault(reason, []).append(path.encode(errors="backslashreplace").decode())
            continue
        try:
            stat = entry.stat()
            wanted.append(File(path, stat.st_size, stat.st_mtime_ns))
        except OSError:  # a broken link: a row that says so
            wanted.append(File(path, 0, 0))
    wanted.sort(key=lambda file: file.path)
    return wanted, {reason: sorted(found) for reason, found in sorted(skipped.items())}


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
    parts = path.split("/")
    if not images.is_candidate(parts[-1]):
        return "not a picture by its name"
    if not path.isprintable() and any("\ud800" <= character <= "\udfff" for character in path):
        return "name is not valid UTF-8"
    if len(parts) < 3 or parts[0] not in labels.SPLITS:
        return "not below train/<style>/ or test/<style>/"
    if labels.origin(parts[1]) is None:
        return "folder name says neither AI nor human"
    if any(part.startswith(".") or part == "__MACOSX" for part in parts[2:-1]):
        return "in a hidden folder"
    return None


def _is_known(row: dict[str, Any] | None, file: File) -> bool:
    if row is None or row["sha256"] is None:  # what could not be read is tried again: permissions leave no time stamp
        return False
    return row["bytes"] == file.bytes and row["mtime_ns"] == file.mtime_ns


def _read(root: Path, files: list[File]) -> Iterator[dict[str, Any]]:
    from concurrent.futures import ThreadPoolExecutor

    from artdetect.index.facts import facts

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, row in zip(files, pool.map(lambda file: facts(root / file.path), files), strict=True):
            yield row | {"path": file.path, "bytes": file.bytes, "mtime_ns": file.mtime_ns}


def _cache_file(root: Path) -> Path:
    """One cache file a data set and reading code: edited code reads all pictures again."""
    recipe = [paths.portable(root), digests.of_code("artdetect.index.facts"), digests.versions(("pillow", "scipy"))]
    return paths.cache() / "facts" / f"{root.name}-{digests.of_value(recipe)[:12]}.parquet"


def _load_cache(root: Path, columns: list[str] | None = None) -> dict[str, dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(_cache_file(root), columns=columns, use_threads=False)
    except (OSError, pa.ArrowInvalid):
        return {}
    return {row["path"]: row for row in table.to_pylist()}


def _save_cache(root: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow.parquet as pq

    target = _cache_file(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        pq.write_table(_table(rows), temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _table(rows: list[dict[str, Any]]) -> "pa.Table":
    import pyarrow as pa

    text, number, flag = pa.string(), pa.int64(), pa.bool_()
    types = {
        "path": text, "bytes": number, "mtime_ns": number, "sha256": text, "width": number, "height": number,
        "format": text, "mode": text, "jpeg_quality": number, "has_exif": flag, "animated": flag, "phash": text,
        "contrast": pa.float64(), "ok": flag, "error": text,
    }  # fmt: skip
    return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in types.items()})
