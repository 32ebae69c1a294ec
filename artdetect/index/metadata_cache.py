"""The facts cache: what each picture file was found to be when it was read, so that it need not be read again.

Numbered Parquet files, one a chunk that was read; the end of a scan merges them into one. Each bears its content's
CRC-32 in its name. It only saves time: it may be deleted or damaged at any moment.
"""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import digests, paths

if TYPE_CHECKING:
    import pyarrow as pa


class MetadataCache:
    """The facts of the pictures below one root, for the code that reads them: edited code reads all pictures again."""

    def __init__(self, root: Path):
        recipe = [
            paths.portable(root),
            digests.code_digests("artdetect.index.file_metadata"),
            digests.versions(("pillow", "scipy")),
        ]
        self.folder = paths.cache() / "facts" / f"{root.name}-{digests.value_digest(recipe)[:12]}"

    def load(self, columns: Sequence[str] | None = None) -> "pa.Table":
        """All rows, newest first; a path may come again further down with what it was before."""
        import pyarrow as pa

        names = list(columns) if columns else schema().names
        found = [rows for file in self._files() if (rows := _read(file, names)) is not None]
        return pa.concat_tables(found) if found else schema().empty_table().select(names)

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep a chunk of freshly read facts. One process at a time: `scan` holds a lock."""
        self._write(table(rows))

    def merge(self, whole: "pa.Table") -> None:
        """Keep exactly these rows."""
        old = self._files()
        self._write(whole)
        for file in [*old, *self.folder.glob("*.tmp")]:  # and what killed writers left
            file.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("*-*.parquet"), reverse=True)

    def _write(self, rows: "pa.Table") -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(rows, buffer := pa.BufferOutputStream())
        content = buffer.getvalue()
        newest = self._files()[:1]
        number = int(newest[0].name.partition("-")[0]) + 1 if newest else 1
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{number:08d}.{os.getpid()}.tmp"
        try:
            temporary.write_bytes(content)
            temporary.replace(self.folder / f"{number:08d}-{zlib.crc32(content):08x}.parquet")
        finally:
            temporary.unlink(missing_ok=True)


def _read(file: Path, names: list[str]) -> "pa.Table | None":
    """These columns of a file; None if it is not there, merged meanwhile, or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content = file.read_bytes()
        if file.stem.partition("-")[2] != f"{zlib.crc32(content):08x}":
            return None
        with pq.ParquetFile(pa.BufferReader(content)) as parquet:  # `read_table` would import pandas
            return parquet.read(columns=names, use_threads=False).select(names)
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None


def schema() -> "pa.Schema":
    """A row of the cache: the file as it was listed, then its `Facts`."""
    import pyarrow as pa

    text, number, flag = pa.string(), pa.int64(), pa.bool_()
    return pa.schema(
        {
            "path": text, "bytes": number, "mtime_ns": number, "sha256": text, "width": number, "height": number,
            "format": text, "mode": text, "jpeg_quality": number, "has_exif": flag, "animated": flag, "phash": text,
            "contrast": pa.float64(), "ok": flag, "error": text,
        }
    )  # fmt: skip


def table(rows: Sequence[dict[str, Any]]) -> "pa.Table":
    """Rows of facts as a table of this schema."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), schema())
