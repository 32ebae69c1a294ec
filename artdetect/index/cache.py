"""The facts cache: what each picture file was found to be when it was read, so that it need not be read again.

One Parquet file a scanned folder, and beside it a small one for each chunk read since, which the end of a scan merges.
It only saves time: it may be deleted or damaged at any moment.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import digests, paths

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE = "facts.parquet"


class FactsCache:
    """The facts of the pictures below one root, for the code that reads them: edited code reads all pictures again."""

    def __init__(self, root: Path):
        recipe = [paths.portable(root), digests.of_code("artdetect.index.facts"), digests.versions(("pillow", "scipy"))]
        self.folder = paths.cache() / "facts" / f"{root.name}-{digests.of_value(recipe)[:12]}"

    def load(self, columns: Sequence[str] | None = None) -> "pa.Table":
        """All rows, newest first; a path may come again further down with what it was before."""
        import pyarrow as pa

        names = list(columns) if columns else schema().names
        tables = [self._read(file, names) for file in [*self._chunks(), self.folder / WHOLE]]
        found = [table for table in tables if table is not None]
        return pa.concat_tables(found) if found else schema().empty_table().select(names)

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep a chunk of freshly read facts. One process at a time: `scan` holds a lock."""
        number = int(self._chunks()[0].stem) + 1 if self._chunks() else 1
        self._write(table(rows), f"{number:08d}.parquet")

    def merge(self, whole: "pa.Table") -> None:
        """Keep exactly these rows."""
        chunks = self._chunks()
        self._write(whole, WHOLE)
        for file in [*chunks, *self.folder.glob("*.tmp")]:  # and what killed writers left
            file.unlink(missing_ok=True)

    def _chunks(self) -> list[Path]:
        """Newest first."""
        return sorted((file for file in self.folder.glob("*.parquet") if file.stem.isdigit()), reverse=True)

    def _read(self, file: Path, names: list[str]) -> "pa.Table | None":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(file, page_checksum_verification=True) as parquet:  # `read_table` would import pandas
                return parquet.read(columns=names, use_threads=False).select(names)
        except (OSError, ValueError, KeyError, pa.ArrowException):  # not there, merged meanwhile, or damaged
            return None

    def _write(self, rows: "pa.Table", name: str) -> None:
        import pyarrow.parquet as pq

        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{name}.{os.getpid()}.tmp"
        try:
            pq.write_table(rows, temporary, write_page_checksum=True)
            temporary.replace(self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)


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
