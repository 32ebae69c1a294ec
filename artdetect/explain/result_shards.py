"""The table of a long batch, in parts: each is whole on the disk before the next is begun."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import digests
from artdetect.core.errors import ArtifactError
from artdetect.explain.explained_pictures import replacing

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "path": "string",
    "name": "string",
    "verdict": "string",
    "called": "string",
    "p_ai": "float64",
    "novelty": "float64",
    "generator": "string",
    "model": "string",
    "error": "string",
    "sha256": "string",
    "score": "float64",
    "completeness_error": "float64",
    "top_share": "float64",
    "range_low": "float64",
    "range_high": "float64",
    "bytes": "int64",
    "modified": "int64",
}


def table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows with `COLUMNS`."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(COLUMNS)).astype(COLUMNS)


def text(path: Path) -> str:
    """A path as a table can hold it: a name on disk need not be Unicode."""
    return str(path).encode("utf-8", "backslashreplace").decode()


class ResultShards:
    """The parts in a folder, which is made."""

    def __init__(self, folder: Path):
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep some rows, if there are any; several workers may at once."""
        if rows:
            taken = [int(path.stem.partition("-")[0]) for path in self._folder.glob("*.parquet")]
            first = digests.value_digest(rows[0]["path"])[:8]  # whoever takes the same number has other pictures
            with replacing(self._folder / f"{max(taken, default=-1) + 1:06d}-{first}.parquet") as temporary:
                table(rows).to_parquet(temporary, index=False)

    def read(self) -> pd.DataFrame:
        """The newest row of each path and of each name."""
        import pandas as pd

        found = pd.concat([table(()), *map(_read, sorted(self._folder.glob("*.parquet")))])
        return found.drop_duplicates("path", keep="last").drop_duplicates("name", keep="last")


def _read(part: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(part)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{part}: damaged; delete it, and its pictures are drawn again") from error
