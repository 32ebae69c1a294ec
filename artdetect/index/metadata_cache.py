"""A cache of file metadata, so that an unchanged picture file is read once.

It consists of numbered Parquet files, one per chunk of pictures read, with the CRC-32 of their content in the name. The
end of a scan merges them into one. The cache only saves time: it may be deleted or damaged at any moment.
"""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import atomic, digests, paths

if TYPE_CHECKING:
    import pyarrow as pa


class MetadataCache:
    """The metadata of the pictures below one root.

    The folder depends on the code that reads them, so that a change of the code reads all pictures again. Paths in it
    are relative to the root, so that a data set is read once, whether it is used alone or with others.

    Args:
        root: The folder of the pictures.
        prefix: What the pictures' paths in the index have before the path below `root`.
    """

    def __init__(self, root: Path, prefix: str = ""):
        root, self.prefix = root.resolve(), prefix
        key = [
            paths.portable(root),
            digests.code_digests("artdetect.index.file_metadata"),
            digests.versions(("pillow", "scipy")),
        ]
        self.folder = paths.cache() / "file_metadata" / f"{root.name}-{digests.value_digest(key)[:12]}"

    def load(self, columns: Sequence[str] | None = None) -> "pa.Table":
        """All rows, newest first. A path may occur again further down with its earlier metadata.

        Args:
            columns: The columns to read; all of `schema` if None.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        names = list(columns) if columns else schema().names
        tables = [rows for file in self._files() if (rows := _read(file, names)) is not None]
        rows = pa.concat_tables(tables) if tables else schema().empty_table().select(names)
        return _with_paths(rows, lambda paths: pc.binary_join_element_wise(self.prefix, paths, ""))

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add a chunk of rows. Only one process may write at a time; `scan` holds a lock."""
        self._write(table(rows))

    def merge(self, rows: "pa.Table") -> None:
        """Replace the content of the cache with these rows."""
        old = self._files()
        self._write(rows)
        for file in [*old, *self.folder.glob("*.tmp")]:  # the latter are leftovers of killed writers
            file.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """The Parquet files, newest first."""
        return sorted(self.folder.glob("*-*.parquet"), reverse=True)

    def _write(self, rows: "pa.Table") -> None:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        rows = _with_paths(rows, lambda paths: pc.utf8_slice_codeunits(paths, len(self.prefix)))
        pq.write_table(rows, buffer := pa.BufferOutputStream())
        content = buffer.getvalue()
        newest = self._files()[:1]
        number = int(newest[0].name.partition("-")[0]) + 1 if newest else 1
        with atomic.replacing(self.folder / f"{number:08d}-{zlib.crc32(content):08x}.parquet") as temporary:
            temporary.write_bytes(content)


def _with_paths(rows: "pa.Table", change: "Callable[[pa.ChunkedArray], pa.ChunkedArray]") -> "pa.Table":
    at = rows.column_names.index("path")
    return rows.set_column(at, "path", change(rows["path"]))


def _read(file: Path, names: list[str]) -> "pa.Table | None":
    """These columns of a file; None if it is damaged or was removed by a merge."""
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
    """The columns of the cache: the file as listed, then its `FileMetadata`."""
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
    """Rows of metadata as a table with this schema."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), schema())
