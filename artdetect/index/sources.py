"""Where pictures come from, as far as it is given: by a table beside the pictures, or by their provenance records.

A source is a collection, a site, a batch or a painter. Where none is given, `labels.row` takes it from the folder.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from artdetect.core.errors import DataError
from artdetect.index.listing import PROVENANCE, SOURCE_TABLES, PictureRoot
from artdetect.pictures import labels

MAX_NAME = 200  # characters of a source's name; the rest is cut off


@dataclass(frozen=True)
class SourceTable:
    """A table of sources: the path of a picture or of a folder -> source."""

    pictures: Mapping[str, str]
    folders: Mapping[str, str]

    def source(self, path: str) -> str | None:
        """The source of the picture with this path: its own, or else that of the nearest folder; None if none is given.

        Args:
            path: The path of a picture, relative to the folder that the table describes.
        """
        if path in self.pictures or not self.folders:
            return self.pictures.get(path)
        parts = path.split("/")
        folders = ("/".join(parts[:depth]) for depth in range(len(parts) - 1, -1, -1))
        return next((self.folders[folder] for folder in folders if folder in self.folders), None)


def given_sources(roots: Sequence[PictureRoot], pictures: Iterable[str]) -> dict[str, str]:
    """The sources that tables and provenance records give these pictures.

    Args:
        roots: The folders of the pictures.
        pictures: Paths in the index.

    Returns:
        Path in the index -> source, for the pictures that have one.

    Raises:
        DataError: A table or a provenance record cannot be used.
    """
    tables = {root.prefix: table for root in roots if (table := _table_of(root)) is not None}
    given = {}
    for path in pictures if tables else ():
        prefix = f"{labels.INCOMING}/" if path.startswith(f"{labels.INCOMING}/") else labels.divided(path)[0]
        if prefix in tables and (source := tables[prefix].source(path[len(prefix) :])):
            given[path] = source
    return given


def _table_of(root: PictureRoot) -> SourceTable | None:
    if root.is_incoming:
        return _from_provenance(root)
    table = root.table or find_table(root.folder)
    return read_table(table, data_set=True) if table else None


def find_table(folder: Path) -> Path | None:
    """The table of sources in a folder; None if there is none.

    Raises:
        DataError: There are two.
    """
    found = [folder / name for name in SOURCE_TABLES if (folder / name).exists()]
    if len(found) > 1:
        raise DataError(f"{folder} holds both {' and '.join(SOURCE_TABLES)}: keep one of them")
    return found[0] if found else None


def read_table(file: Path, data_set: bool) -> SourceTable:
    """Read a table of sources: columns path and source, or folder and source. Others are ignored.

    Args:
        file: A CSV file (UTF-8, commas) or a Parquet file. Paths in it have slashes.
        data_set: Whether it describes a data set. Then a path counts from its train/ or test/ on, whatever folder an
            archive wraps around them, and a folder without them means that style in both.

    Raises:
        DataError: The table is not readable, lacks a column, or names something twice with two sources.
    """
    if not file.is_file():
        raise DataError(f"{file} is not a file: put a table with the columns path and source there, or remove it")
    header, rows = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    kind = "path" if "path" in header else "folder"
    if missing := [name for name in (kind, "source") if name not in header]:
        raise DataError(
            f"{file} lacks the column {missing[0]}: a table of sources has the columns path and source, or folder and "
            f"source, with these names in its first line. It has: {', '.join(map(repr, header[:20])) or 'none'}"
        )
    at, source_at = header.index(kind), header.index("source")
    entries: dict[str, str] = {}
    for row in rows:
        source = display_name(row[source_at] or "")
        for entry in _places(row[at] or "", kind, data_set) if source else ():
            if (other := entries.setdefault(entry, source)) != source:
                raise DataError(f"{file} gives {entry!r} two sources, {other!r} and {source!r}: keep one of them")
    return SourceTable(entries, {}) if kind == "path" else SourceTable({}, entries)


@lru_cache(maxsize=4096)
def display_name(text: str) -> str:
    """The name of a source on one line, without what cannot be printed."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:MAX_NAME]


def _places(text: str, kind: str, data_set: bool) -> list[str]:
    """The paths of pictures or folders that a row means. The folder "." is all pictures."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    start = next((at for at, part in enumerate(parts) if part in labels.SPLITS), None) if data_set else 0
    if start is not None:
        return ["/".join(parts[start:])] if text else []
    return ["/".join([split, *parts]) for split in labels.SPLITS] if kind == "folder" and text else []


Rows = Iterator[Sequence[str | None]]


def _csv(file: Path) -> tuple[list[str], Rows]:
    rows = _csv_rows(file)
    return [str(name).strip() for name in next(rows, [])], rows


def _csv_rows(file: Path) -> Rows:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader, columns = csv.reader(lines, strict=True), None
            for row in reader:
                columns = columns or len(row)
                if row and len(row) != columns:
                    raise DataError(
                        f"{file}, line {reader.line_num}: {len(row)} values in a table of {columns} columns. "
                        "Put values that contain a comma in double quotes"
                    )
                if row:
                    yield row
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 ({error}): save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: not readable as CSV ({error})") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}): check its permissions") from error


def _parquet(file: Path) -> tuple[list[str], Rows]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            names = [name for name in ("path", "folder", "source") if name in parquet.schema_arrow.names]
            columns = [parquet.read(columns=[name])[name].cast(pa.string()).to_pylist() for name in names]
            header = [*names, *(name for name in parquet.schema_arrow.names if name not in names)]
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:  # ValueError: texts that are not UTF-8
        reason = str(error).partition("\n")[0]
        raise DataError(f"{file} is not readable as a Parquet file of texts ({reason})") from error
    return header, zip(*columns, strict=True)


def _from_provenance(root: PictureRoot) -> SourceTable:
    """The sources in the provenance records; the newest record of a picture counts."""
    pictures: dict[str, str] = {}
    for file in sorted((root.folder / PROVENANCE).glob("*.json")):
        try:
            record = json.loads(file.read_bytes())
            source = display_name(record.get("source") or "")
            named = [picture["path"].removeprefix(root.prefix) for picture in record.get("pictures", [])]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{file} is not readable as a provenance record: restore it, or delete it") from error
        for path in named:
            if source:
                pictures[path] = source
            else:
                pictures.pop(path, None)
    return SourceTable(pictures, {})
