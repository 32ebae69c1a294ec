"""index: one Parquet row per picture, with what its folder says of it and what its file is."""

import json
from pathlib import Path

from artdetect.core.errors import DataError
from artdetect.index.config import IndexConfig
from artdetect.index.scan import NOTICE, DataSetState, metadata_of
from artdetect.pictures import labels


def run(config: IndexConfig, pictures: DataSetState, out: Path) -> None:
    """Write the index of a scanned folder.

    `index.parquet`: path, label, split, style, generator, origin ("raw" or "incoming"), then the facts of the file;
    sorted by path. Bad pictures are rows with ok = false and a reason. `skipped.json`: files that are not indexed, by
    reason. `notice.txt`: what the data set says of itself, if it does. DataError if there is no picture at all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not len(pictures.contents):
        raise DataError(f"{pictures.root}: no pictures found below train/<style>/ or test/<style>/. Check download.url")
    facts = metadata_of(pictures)
    paths = facts.column("path").to_pylist()
    rows = [labels.row(path, sha256) for path, sha256 in zip(paths, facts.column("sha256").to_pylist(), strict=True)]
    columns = ("label", "split", "style", "generator", "origin")
    said = {"path": paths} | {name: [getattr(row, name) for row in rows] for name in columns}
    measured = {name: facts.column(name) for name in facts.column_names if name not in ("path", "mtime_ns")}
    pq.write_table(pa.table(said | measured), out / "index.parquet")
    (out / "skipped.json").write_text(json.dumps(pictures.skipped, indent=1))
    notice = pictures.root / NOTICE
    if notice.is_file():
        (out / "notice.txt").write_text(notice.read_text(errors="replace")[:2_000])
