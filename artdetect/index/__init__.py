"""index: one Parquet row per picture, with the labels from its path and the metadata of its file."""

import json
from pathlib import Path

from artdetect.artifacts import file_names
from artdetect.core.errors import DataError
from artdetect.index.config import IndexConfig
from artdetect.index.listing import NOTICE, PictureRoot
from artdetect.index.scan import DataSetState, metadata_of
from artdetect.pictures import labels

MAX_NOTICE = 2_000  # characters of a data set's notice that are kept


def run(config: IndexConfig, pictures: DataSetState, out: Path) -> None:
    """Write the index of a scanned folder.

    Writes:
        index.parquet: path, label, split, style, generator, origin ("raw" or "incoming"), source (see `sources`), then
            the file metadata (see `file_metadata`); sorted by path. An unusable picture is a row with ok = false and a
            reason.
        skipped.json: the files that are not indexed, by reason.
        notice.txt: the data set's own notice, if it has one; of several data sets, each after the data set's name.

    Args:
        config: Section `index`.
        pictures: The scanned data sets.
        out: The folder to write to.

    Raises:
        DataError: A data set has no picture at all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = pictures.contents["path"].to_pylist()
    for root in pictures.data_sets:
        if not any(path.startswith(root.prefix) for path in paths):
            place = f"data set {root.name}: {root.folder.resolve()}" if root.name else root.folder
            raise DataError(f"{place}: no pictures found below train/<style>/ or test/<style>/. Check section download")
    metadata = metadata_of(pictures)
    rows = [labels.row(path, sha256) for path, sha256 in zip(paths, metadata["sha256"].to_pylist(), strict=True)]
    columns = ("label", "split", "style", "generator", "origin")
    from_path = {"path": paths} | {name: [getattr(row, name) for row in rows] for name in columns}
    given = pictures.sources
    from_path["source"] = [given.get(path, row.source) for path, row in zip(paths, rows, strict=True)]
    from_file = {name: metadata.column(name) for name in metadata.column_names if name not in ("path", "mtime_ns")}
    pq.write_table(pa.table(from_path | from_file), out / file_names.INDEX)
    (out / file_names.SKIPPED).write_text(json.dumps(pictures.skipped, indent=1))
    notices = [f"{root.name}:\n{text}" if root.name else text for root in pictures.data_sets if (text := _notice(root))]
    if notices:
        (out / file_names.NOTICE).write_text("\n\n".join(notices))


def _notice(root: PictureRoot) -> str:
    file = root.folder / NOTICE
    return file.read_text(errors="replace")[:MAX_NOTICE] if file.is_file() else ""
