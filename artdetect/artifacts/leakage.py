"""Leakage: test pictures that a model was trained on, or that look like its training pictures, prove little.

A picture that is in the test set today may be known to an older champion: the champion was trained on a near-duplicate,
which left the training set later, when a copy of the test picture arrived.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.artifacts import file_names

if TYPE_CHECKING:
    import pandas as pd


def training_contents(model: Path, balance: Path | None) -> set[str]:
    """The sha256s of all pictures that a model, or one that it descends from, is known to be fitted or chosen on.

    Args:
        model: The model's artifact. It lists the pictures that it was adapted to, if any; and, if its training could
            start from another model's weights, those of all its ancestors.
        balance: The balance artifact that it was trained on; None where it no longer exists.
    """
    import pandas as pd

    file = model / file_names.ADAPTED_TO
    own = {picture["sha256"] for picture in json.loads(file.read_text())} if file.is_file() else set()
    if (inherited := model / file_names.TRAINED_ON).is_file():
        own |= set(pd.read_parquet(inherited).sha256)
    if balance is None:
        return own
    table = pd.read_parquet(balance / file_names.BALANCE, columns=["sha256", "split"])
    return own | set(table.sha256[table.split.isin(("train", "validation"))])


def are_known(model: Path, balance: Path | None) -> bool:
    """Whether `training_contents` has all of them. Arguments as there."""
    if (model / file_names.TRAINED_ON).is_file():
        return json.loads((model / file_names.METRICS).read_text())[file_names.ANCESTORS_KNOWN]
    return balance is not None


def judged(predictions: "pd.DataFrame") -> "pd.DataFrame":
    """The predictions that a model is judged by, without the test pictures that it was trained on.

    Args:
        predictions: A table of predictions.parquet. Where it has no column `file_names.IN_TRAINING`, all rows count.
    """
    if file_names.IN_TRAINING not in predictions:
        return predictions
    return predictions[~predictions[file_names.IN_TRAINING]].reset_index(drop=True)


def near_duplicates_of(index: Path, audit: Path, contents: Iterable[str]) -> set[str]:
    """Find the given contents in an index, together with their near-duplicates.

    Args:
        index: The index artifact.
        audit: The audit artifact of that index.
        contents: The sha256s to look for.

    Returns:
        sha256s of pictures in the index.
    """
    import pandas as pd

    table = pd.read_parquet(index / file_names.INDEX, columns=["path", "sha256"])
    group = table.path.map(pd.read_parquet(audit / file_names.GROUPS).set_index("path").group)
    same = table.sha256.isin(set(contents))
    return set(table.sha256[same | (group.notna() & group.isin(group[same]))])
