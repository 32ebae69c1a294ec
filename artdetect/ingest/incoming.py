"""Count the pictures in data/incoming by name, without reading them."""

from collections import Counter
from pathlib import Path

from artdetect.artifacts import file_names
from artdetect.core import paths


def added_since(index_folder: Path | None) -> Counter[str]:
    """Count the pictures in data/incoming that an index does not have, by `AI/<generator>` and `human/<origin>`.

    Args:
        index_folder: The artifact folder of the index; None counts all pictures.
    """
    indexed: set[str] = set()
    if index_folder is not None:
        import pyarrow.parquet as pq

        indexed.update(pq.read_table(index_folder / file_names.INDEX, columns=["path"])["path"].to_pylist())
    return Counter("/".join(path.split("/")[1:3]) for path in _paths() if path not in indexed)


def totals() -> dict[str, int]:
    """Count the pictures in data/incoming by label."""
    counts = Counter(path.split("/")[1] for path in _paths())
    return {label: counts[label] for label in ("AI", "human")}


def _paths() -> list[str]:
    """The paths of all incoming pictures, as in the index."""
    from artdetect.index.listing import PictureRoot, listing

    if not paths.incoming().is_dir():
        return []
    return listing(PictureRoot(paths.incoming(), "incoming/"))[0]["path"].to_pylist()
