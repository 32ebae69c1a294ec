"""The table of a long job in parts, each of which is whole on disk before the next one starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import digests
from artdetect.core.atomic import replacing
from artdetect.core.errors import ArtifactError
from artdetect.model.predict import Verdict

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "path": "string",
    "name": "string",
    "verdict": "string",
    "reason": "string",
    "predicted": "string",
    "p_ai": "float64",
    "novelty": "float64",
    "generator": "string",
    "native_crops": "Int64",
    "ai_region": "object",
    "ai_area": "float64",
    "human_region": "object",
    "model": "string",
    "error": "string",
    "sha256": "string",
    "score": "float64",
    "completeness_error": "float64",
    "top_share": "float64",
    "caption": "string",
    "reach": "float64",
    "bytes": "int64",
    "modified": "int64",
}


def table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of some rows, with the types of `COLUMNS`; columns that a row lacks are missing values."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(COLUMNS)).astype(COLUMNS)


def verdict(row: Mapping[str, Any]) -> Verdict:
    """The verdict of a row, also of one that was read from a table: what is missing there is None here."""
    return Verdict(**{field.name: _value(row.get(field.name)) for field in fields(Verdict)})


def _value(cell: Any) -> Any:
    import pandas as pd

    if pd.api.types.is_list_like(cell):  # a box
        return tuple(map(float, cell))
    return None if pd.isna(cell) else cell


def text(path: Path) -> str:
    """A path as a table can store it: a name on disk need not be valid Unicode."""
    return str(path).encode("utf-8", "backslashreplace").decode()


class ResultShards:
    """The parts of a table, in a folder that is created if missing."""

    def __init__(self, folder: Path):
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write some rows as a new part, if there are any. Several workers may do so at the same time."""
        if rows:
            numbers = [int(path.stem.partition("-")[0]) for path in self._folder.glob("*.parquet")]
            first = digests.value_digest(rows[0]["path"])[:8]  # a worker with the same number has other pictures
            with replacing(self._folder / f"{max(numbers, default=-1) + 1:06d}-{first}.parquet") as temporary:
                table(rows).to_parquet(temporary, index=False)

    def read(self) -> pd.DataFrame:
        """The newest row for each path and each name."""
        import pandas as pd

        rows = pd.concat([table(()), *map(_read, sorted(self._folder.glob("*.parquet")))])
        return rows.drop_duplicates("path", keep="last").drop_duplicates("name", keep="last")


def _read(part: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(part)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{part}: not readable; delete it and run again to explain its pictures again") from error
