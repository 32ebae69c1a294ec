"""A cache of one array per picture, by content: records of equal size, read from a memory map.

A folder has two append-only files: the records (for instance `pixels.u8`), and `index.bin` with one 40-byte entry per
record (sha256 of the picture file, CRC-32 of the record, CRC-32 of the entry). Records reach the disk before their
entries, and only complete entries count, so a kill or a loss of power costs at most the last chunk.
A damaged record is never used: it is computed again and written in its place. The folder may be deleted at any time.
"""

import logging
import mmap
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from artdetect.core.errors import DataError
from artdetect.core.progress import Count

if TYPE_CHECKING:
    from filelock import BaseFileLock

PictureRef = tuple[str, Path]  # the sha256 of a picture file (hex), and its path

ENTRY = np.dtype([("sha256", "S32"), ("record_crc", "<u4"), ("entry_crc", "<u4")])
RESIDENT_BYTES = 128 * 2**20  # of the memory map that reading may leave in this process's memory
FAULT_BYTES = 64 * 2**10  # what Linux maps around a page on access
ATTEMPTS = 2  # the cache may be deleted while it is written; once is tolerated

log = logging.getLogger(__name__)


class ArrayCache:
    """One array of `shape` and `dtype` per picture, for many pictures.

    Readers need no lock: of the data they have opened, only damaged records change. Writers in several processes take
    turns. Each record is compared with its CRC when an object first reads it. The check costs more than the copy of a
    mapped record, and what is mapped is read many times, so it is not repeated.

    Args:
        folder: The folder of the cache.
        name: What a record holds: "pixel" gives the file `pixels.…` and the name "pixel cache" in messages.
        shape: The shape of a record.
        dtype: The type of a record's values.
        compute: Yields the bytes of the records of the given items, in order. It may distribute the work.
        chunk: How many records are written at once: the most that a kill can lose.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        compute: Callable[[Sequence[PictureRef]], Iterator[bytes]],
        chunk: int,
    ):
        self.folder = folder
        self._name = name
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._compute = compute
        self._chunk = chunk
        self._record = int(np.prod(shape)) * self._dtype.itemsize
        self._index_path = folder / "index.bin"
        self._records_path = folder / f"{name}s.{self._dtype.kind}{self._dtype.itemsize * 8}"
        self._entries: np.ndarray
        self._ensured: list[Sequence[PictureRef]] = []  # where the pictures are, if a record must be computed again
        self._open()

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, rows: np.ndarray, items: Sequence[PictureRef] = ()) -> np.ndarray:
        """Copy the records in these rows: `(len(rows), *shape)`. At most RESIDENT_BYTES of the map stay in memory.

        Damaged records are computed again, and counted in a warning.

        Args:
            rows: Row numbers from the method `rows` of this object. They stay valid whatever other processes append.
            items: Where the pictures are that `ensure` was not called with.

        Raises:
            DataError: A record is damaged and cannot be computed again. The message says which folder to delete.
        """
        records = self._copy(rows)
        damaged = self._damaged(rows, records)
        if damaged.size:
            self._repair(rows[damaged], items)
            records[damaged] = self._copy(rows[damaged])
            if self._damaged(rows[damaged], records[damaged]).size:
                raise DataError(f"the {self} stays damaged when it is written: delete {self.folder} and run again")
        return records

    def rows(self, sha256s: Sequence[str]) -> np.ndarray:
        """The row numbers of these contents (hex digests) for `read`: int64 `(len(sha256s),)`.

        Raises:
            DataError: A picture is not in the cache; call `ensure` first.
        """
        rows = self._find(sha256s)
        if (rows < 0).any():
            missing = int((rows < 0).sum())
            first = sha256s[int(np.argmax(rows < 0))]
            raise DataError(f"{missing} of {len(sha256s)} pictures are not in the {self}: {first} …")
        return rows

    def ensure(self, items: Sequence[PictureRef], progress: Count | None = None) -> None:
        """Compute the records of `items` that are missing.

        Args:
            items: Pairs of the sha256 (hex) of a picture file and its path.
            progress: Called with (done, missing) after each chunk.

        Raises:
            DataError: A file changed since it was indexed, or can no longer be decoded. The message names it.
            OSError: The disk is full. The records written before stay valid.
        """
        self._ensured.append(items)
        self._open()
        for _ in range(ATTEMPTS):
            if not self._missing(items):
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock():
                self._open()  # another process may have appended records
                if self._lost:
                    log.warning("%s: %d damaged entries; the records needed are made again", self, self._lost)
                self._append(self._missing(items), progress)
            self._open()
        if self._missing(items):
            raise DataError(f"the {self} was deleted twice while it was written: run again")

    def verify(self) -> list[str]:
        """The sha256s (hex) of damaged records or entries, after reading all. Delete the folder if there are any."""
        intact = _whole(self._entries) & self._intact(np.arange(len(self)))
        return [bytes(entry).hex() for entry in self._keys()[~intact]]

    def __str__(self) -> str:
        return f"{self._name} cache {self.folder}"

    def _lock(self) -> "BaseFileLock":
        from filelock import FileLock

        return FileLock(self.folder.with_name(self.folder.name + ".lock"))

    def _append(self, items: list[PictureRef], progress: Count | None) -> None:
        # Truncate what a killed writer left. No reader has mapped it, because readers count by the same rule.
        records_file = _open_at(self._records_path, len(self) * self._record)
        with records_file, _open_at(self._index_path, len(self) * ENTRY.itemsize) as index_file:
            computed = self._compute(items)
            for start in range(0, len(items), self._chunk):
                sha256s = [sha256 for sha256, _ in items[start : start + self._chunk]]
                records = list(islice(computed, len(sha256s)))
                _write(records_file, b"".join(records))
                _write(index_file, _entries(sha256s, records).tobytes())
                if progress is not None:
                    progress(start + len(records), len(items))

    def _repair(self, rows: np.ndarray, items: Sequence[PictureRef]) -> None:
        """Compute the damaged records in these rows again, and all others of the pictures known here; write them."""
        paths = dict(chain(*self._ensured, items))
        with self._lock():
            self._read_entries_again()
            for key in self._keys()[rows]:
                if (sha256 := bytes(key).hex()) not in paths:
                    raise DataError(
                        f"the {self} is damaged at picture {sha256}, and it is not known here where that picture is: "
                        f"delete {self.folder} and run again"
                    )
            known = self._find(list(paths))
            known = known[known >= 0]
            damaged = known[~self._intact(known)]
            if not damaged.size:
                return  # another process has repaired them
            log.warning("%s: %d of %d records are damaged and are made again", self, len(damaged), len(known))
            sha256s = [bytes(key).hex() for key in self._keys()[damaged]]
            computed = self._compute([(sha256, paths[sha256]) for sha256 in sha256s])
            with self._records_path.open("r+b") as records_file, self._index_path.open("r+b") as index_file:
                for row, sha256, record in zip(damaged, sha256s, computed, strict=True):
                    self._entries[row] = _entries([sha256], [record])[0]
                    records_file.seek(row * self._record)
                    _write(records_file, record)
                    index_file.seek(row * ENTRY.itemsize)
                    _write(index_file, self._entries[row].tobytes())

    def _read_entries_again(self) -> None:
        """Load the entries of the same rows once more, because another process may have repaired some."""
        try:
            entries = np.fromfile(self._index_path, ENTRY, len(self))
        except FileNotFoundError:
            entries = self._entries[:0]
        if not np.array_equal(entries["sha256"], self._entries["sha256"]):
            raise DataError(f"the {self} is damaged, and was deleted or changed while it was read: run again")
        self._entries = entries

    def _missing(self, items: Sequence[PictureRef]) -> list[PictureRef]:
        """The missing items, each content once, in the given order, so that a rebuilt cache has the same bytes."""
        rows = self._find([sha256 for sha256, _ in items])
        missing = {sha256: path for (sha256, path), row in zip(items, rows, strict=True) if row < 0}
        return list(missing.items())

    def _find(self, sha256s: Sequence[str]) -> np.ndarray:
        """The rows of these contents, -1 for missing ones: int64."""
        digests = _digests(sha256s)
        if not len(self._order) or not len(digests):
            return np.full(len(digests), -1, np.int64)
        positions = np.minimum(np.searchsorted(self._sorted, digests), len(self._sorted) - 1)
        return np.where(self._sorted[positions] == digests, self._order[positions], -1).astype(np.int64)

    def _keys(self) -> np.ndarray:
        """Complete keys, uint8 `(len, 32)`: single values of numpy's S32 lose trailing zero bytes."""
        return np.ascontiguousarray(self._entries["sha256"]).view(np.uint8).reshape(-1, 32)

    def _open(self) -> None:
        """Load the current state: whole entries of complete records."""
        try:
            index = self._index_path.read_bytes()  # read first, because records are written first
            records = self._records_path.stat().st_size // self._record
        except FileNotFoundError:
            index, records = b"", 0
        complete = min(len(index) // ENTRY.itemsize, records)
        entries = np.frombuffer(index, ENTRY, complete)
        rows = np.flatnonzero(_whole(entries))  # nobody knows whose record a damaged entry counts
        count = int(rows[-1]) + 1 if rows.size else 0  # damaged ones at the end, after a loss of power, are cut off
        self._lost = complete - len(rows)
        self._entries = entries[:count]
        self._map(count)
        self._order = rows[np.argsort(self._entries["sha256"][rows], kind="stable")]
        self._sorted = self._entries["sha256"][self._order]

    def _map(self, count: int) -> None:
        self._mapped: mmap.mmap | None = None
        self._array = np.zeros((0, *self._shape), self._dtype)
        self._touched = 0
        self._checked = np.zeros(count, bool)  # rows whose record has matched its CRC
        if count:
            with self._records_path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), count * self._record, access=mmap.ACCESS_READ)
            self._array = np.frombuffer(self._mapped, self._dtype).reshape(count, *self._shape)

    def close(self) -> None:
        """Unmap the file, for whoever keeps this object longer than it is used; nothing can be read afterwards."""
        self._map(0)

    def _release_pages(self) -> None:
        """Release mapped pages to the system, which still caches the file."""
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)
        self._touched = 0

    def _copy(self, rows: np.ndarray) -> np.ndarray:
        records = self._array[rows]
        self._touched += len(records) * (self._record + FAULT_BYTES)
        if self._touched > RESIDENT_BYTES:
            self._release_pages()
        return records

    def _damaged(self, rows: np.ndarray, records: np.ndarray) -> np.ndarray:
        """The positions of the records that differ from their CRCs: int64. Records that matched once are skipped."""
        new = np.flatnonzero(~self._checked[rows])
        if not new.size:
            return new
        data, size = records.reshape(-1).view(np.uint8).data, self._record
        starts = (new * size).tolist()
        crcs = np.fromiter((zlib.crc32(data[start : start + size]) for start in starts), "<u4", len(new))
        intact = crcs == self._entries["record_crc"][rows[new]]
        self._checked[rows[new[intact]]] = True
        return new[~intact]

    def _intact(self, rows: np.ndarray) -> np.ndarray:
        """Whether the records in these rows match their CRCs now: bool `(len(rows),)`."""
        crcs = np.fromiter((zlib.crc32(self._copy(row).data) for row in rows[:, None]), "<u4", len(rows))
        return crcs == self._entries["record_crc"][rows]


def _whole(entries: np.ndarray) -> np.ndarray:
    """Whether each entry matches its own CRC: bool `(len(entries),)`."""
    data, size = memoryview(entries.tobytes()), ENTRY.itemsize
    crcs = (zlib.crc32(data[start : start + size - 4]) for start in range(0, len(data), size))
    return np.fromiter(crcs, "<u4", len(entries)) == entries["entry_crc"]


def _entries(sha256s: list[str], records: list[bytes]) -> np.ndarray:
    entries = np.zeros(len(records), ENTRY)
    entries["sha256"] = _digests(sha256s)
    entries["record_crc"] = [zlib.crc32(record) for record in records]
    entries["entry_crc"] = [zlib.crc32(entry.tobytes()[:-4]) for entry in entries]
    return entries


def _digests(sha256s: Sequence[str]) -> np.ndarray:
    """Hex digests as S32 `(n,)`."""
    for sha256 in sha256s:
        if len(sha256) != 64:
            raise ValueError(f"A sha256 has 64 hex digits. Received: {sha256!r}")
    return np.frombuffer(bytes.fromhex("".join(sha256s)), "S32")


def _open_at(path: Path, size: int) -> BinaryIO:
    """Open a file, created if necessary, truncated to `size` and ready to append."""
    path.touch()
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
