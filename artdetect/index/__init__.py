"""index: one Parquet row per picture, with the labels from its path and the metadata of its file."""

import json
from pathlib import Path

from artdetect.artifacts import file_names
from artdetect.core.errors import DataError
from artdetect.index.config import IndexConfig
from artdetect.index.scan import NOTICE, DataSetState, metadata_of
from artdetect.pictures import labels


def run(config: IndexConfig, pictures: DataSetState, out: Path) -> None:
    """Write the index of a scanned folder.

    Writes:
        index.parquet: path, label, split, style, generator, origin ("raw" or "incoming"), source (see `sources`), then
            the file metadata (see `file_metadata`); sorted by path. An unusable picture is a row with ok = false and a
            reason.
        skipped.json: the files that are not indexed, by reason.
        notice.txt: the data set's own notice, if it has one.

    Args:
        config: Section `index`.
        pictures: The scanned data set.
        out: The folder to write to.

    Raises:
        DataError: There is no picture at all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not len(pictures.contents):
        raise DataError(f"{pictures.root}: no pictures found below train/<style>/ or test/<style>/. Check download.url")
    metadata = metadata_of(pictures)
    paths, sha256s = (metadata.column(name).to_pylist() for name in ("path", "sha256"))
    rows = [labels.row(path, sha256) for path, sha256 in zip(paths, sha256s, strict=True)]
    columns = ("label", "split", "style", "generator", "origin")
    from_path = {"path": paths} | {name: [getattr(row, name) for row in rows] for name in columns}
    given = pictures.sources
    from_path["source"] = [given.get(path, row.source) for path, row in zip(paths, rows, strict=True)]
    from_file = {name: metadata.column(name) for name in metadata.column_names if name not in ("path", "mtime_ns")}
    pq.write_table(pa.table(from_path | from_file), out / file_names.INDEX)
    (out / file_names.SKIPPED).write_text(json.dumps(pictures.skipped, indent=1))
    notice = pictures.root / NOTICE
    if notice.is_file():
        (out / file_names.NOTICE).write_text(notice.read_text(errors="replace")[:2_000])
