"""The pictures now in data/incoming, by name: none is read."""

from collections import Counter
from pathlib import Path

from artdetect.core import paths


def added_since(index_folder: Path | None) -> Counter[str]:
    """Pictures now in data/incoming, to train and to test, that an index (its artifact folder) does not have.

    All of them where it is None. By `AI/<generator>` and `human/<origin>`; names are listed, no picture is read.
    """
    known: set[str] = set()
    if index_folder is not None:
        import pyarrow.parquet as pq

        known.update(pq.read_table(index_folder / "index.parquet", columns=["path"])["path"].to_pylist())
    return Counter("/".join(path.split("/")[1:3]) for path in _incoming() if path not in known)


def totals() -> dict[str, int]:
    """Pictures in data/incoming by label."""
    found = Counter(path.split("/")[1] for path in _incoming())
    return {label: found[label] for label in ("AI", "human")}


def _incoming() -> list[str]:
    """The paths of all incoming pictures, as in the index."""
    from artdetect.index.listing import PictureRoot, listing

    if not paths.incoming().is_dir():
        return []
    return listing(PictureRoot(paths.incoming(), "incoming/"))[0]["path"].to_pylist()
