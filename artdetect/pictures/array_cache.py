"""What is computed once a picture and kept by content: records of one size, read from a memory map.

Two append-only files a folder: the records (`pixels.u8`, say), and `index.bin`, one 40-byte entry a record (sha256 of
the picture file's content, CRC-32 of the record, CRC-32 of the entry). Records reach the disk before their entries and
an entry counts only whole, so a killed or powerless writer loses at most its last chunk.
The folder may be deleted at any time.
"""

import mmap
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from artdetect.core.errors import DataError
from artdetect.core.progress import Count

PictureRef = tuple[str, Path]  # the sha256 of a picture file's content (hex), and a file that holds it

ENTRY = np.dtype([("sha256", "S32"), ("record_crc", "<u4"), ("entry_crc", "<u4")])
RESIDENT_BYTES = 128 * 2**20  # of the map, as far as reading keeps it in this process's memory
FAULT_BYTES = 64 * 2**10  # what Linux maps around a page that is touched
ATTEMPTS = 2  # the cache may be deleted while it is written: once more, then something is wrong


class ArrayCache:
    """One array of `shape` and `dtype` a picture, of many pictures.

    Readers need no lock: what they have opened never changes. Writers of several processes take turns.

    Args:
        what: "pixel" is kept as `pixels.…` and called the pixel cache.
        make: gives the bytes of the records of these items, in their order; it decides who does the work.
        chunk: how many records are written at once, and lost at most when killed.
    """

    def __init__(
        self,
        folder: Path,
        what: str,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        make: Callable[[Sequence[PictureRef]], Iterator[bytes]],
        chunk: int,
    ):
        self.folder = folder
        self._what = what
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._make = make
        self._chunk = chunk
        self._record = int(np.prod(shape)) * self._dtype.itemsize
        self._index_path = folder / "index.bin"
        self._records_path = folder / f"{what}s.{self._dtype.kind}{self._dtype.itemsize * 8}"
        self._open()

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The records in these rows, copied: `(len(rows), *shape)`; RESIDENT_BYTES of the map stay at most.

        Rows come from `rows` and hold for this object, whatever others append meanwhile.
        """
        records = self._array[rows]
        self._touched += len(records) * (self._record + FAULT_BYTES)
        if self._touched > RESIDENT_BYTES:
            self._let_go()
        return records

    def rows(self, sha256s: Sequence[str]) -> np.ndarray:
        """Row numbers for these contents (hex digests), as `read` takes them: int64 `(len(sha256s),)`.

        Raises:
            DataError: one is not in the cache: `ensure` it first.
        """
        rows = self._find(sha256s)
        if (rows < 0).any():
            missing = int((rows < 0).sum())
            first = sha256s[int(np.argmax(rows < 0))]
            raise DataError(f"{missing} of {len(sha256s)} pictures are not in the {self}: {first} …")
        return rows

    def ensure(self, items: Sequence[PictureRef], progress: Count | None = None) -> None:
        """Make what is missing of `items`, pairs of a content's sha256 (hex) and the file that holds it.

        Args:
            progress: called with (done, missing) after each chunk.

        Raises:
            DataError: a file changed since it was indexed, or cannot be decoded any more; names it.
            OSError: the disk is full; what was written before stays valid.
        """
        from filelock import FileLock

        self._open()
        for _ in range(ATTEMPTS):
            if not self._missing(items):
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder.with_name(self.folder.name + ".lock")):
                self._open()  # another process may have written meanwhile
                self._append(self._missing(items), progress)
            self._open()
        if self._missing(items):
            raise DataError(f"the {self} was deleted twice while it was written: run again")

    def verify(self) -> list[str]:
        """The sha256s (hex) whose record or entry is damaged, all records read; delete the folder if there are any."""
        good = self._sound(0, len(self))
        return [bytes(entry).hex() for entry in self._keys()[~good]]

    def __str__(self) -> str:
        return f"{self._what} cache {self.folder}"

    def _append(self, items: list[PictureRef], progress: Count | None) -> None:
        # Cut off what a killed writer left. No reader has mapped it: they count by the same rule.
        records_file = _open_at(self._records_path, len(self) * self._record)
        with records_file, _open_at(self._index_path, len(self) * ENTRY.itemsize) as index_file:
            made = self._make(items)
            for start in range(0, len(items), self._chunk):
                sha256s = [sha256 for sha256, _ in items[start : start + self._chunk]]
                records = list(islice(made, len(sha256s)))
                _write(records_file, b"".join(records))
                _write(index_file, _entries(sha256s, records).tobytes())
                if progress is not None:
                    progress(start + len(records), len(items))

    def _missing(self, items: Sequence[PictureRef]) -> list[PictureRef]:
        """Each content once, in the order given, so that a rebuilt cache has the same bytes."""
        rows = self._find([sha256 for sha256, _ in items])
        missing = {sha256: path for (sha256, path), row in zip(items, rows, strict=True) if row < 0}
        return list(missing.items())

    def _find(self, sha256s: Sequence[str]) -> np.ndarray:
        """Rows of these contents, -1 for those that are not there: int64."""
        wanted = _digests(sha256s)
        if not len(self) or not len(wanted):
            return np.full(len(wanted), -1, np.int64)
        keys = self._entries["sha256"]
        positions = np.minimum(np.searchsorted(keys, wanted, sorter=self._order), len(keys) - 1)
        rows = self._order[positions]
        return np.where(keys[rows] == wanted, rows, -1).astype(np.int64)

    def _keys(self) -> np.ndarray:
        """Whole keys, uint8 `(len, 32)`: numpy's S32 drops trailing zero bytes when it hands out single values."""
        return np.ascontiguousarray(self._entries["sha256"]).view(np.uint8).reshape(-1, 32)

    def _open(self) -> None:
        """See what is on disk now: whole entries with whole records, the last chunk's checked by their CRC."""
        try:
            index = self._index_path.read_bytes()  # before the records, which are written first
            records = self._records_path.stat().st_size // self._record
        except FileNotFoundError:
            index, records = b"", 0
        count = min(len(index) // ENTRY.itemsize, records)
        self._entries = np.frombuffer(index, ENTRY, count)
        self._map(count)
        start = max(0, count - self._chunk)
        bad = np.flatnonzero(~self._sound(start, count))
        if bad.size:  # after a loss of power
            count = start + int(bad[0])
            self._entries = self._entries[:count]
            self._map(count)
        self._order = np.argsort(self._entries["sha256"], kind="stable")

    def _map(self, count: int) -> None:
        self._mapped: mmap.mmap | None = None
        self._array = np.zeros((0, *self._shape), self._dtype)
        self._touched = 0
        if count:
            with self._records_path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), count * self._record, access=mmap.ACCESS_READ)
            self._array = np.frombuffer(self._mapped, self._dtype).reshape(count, *self._shape)

    def _let_go(self) -> None:
        """Give mapped pages back to the system, which still holds the file in its own cache."""
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)
        self._touched = 0

    def _sound(self, start: int, stop: int) -> np.ndarray:
        """Which of these rows match their CRCs: bool `(stop - start,)`."""
        entries = self._entries[start:stop]
        entry_crcs = [zlib.crc32(entry.tobytes()[:-4]) for entry in entries]
        record_crcs = [zlib.crc32(self.read(np.array([row])).data) for row in range(start, stop)]
        return (entries["entry_crc"] == entry_crcs) & (entries["record_crc"] == record_crcs)


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
    """The file, made if it is not there, cut to `size` and ready to append."""
    path.touch()
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
