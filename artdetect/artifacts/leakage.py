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
        model: The model's artifact. It lists these pictures, unless an earlier version trained it.
        balance: The balance artifact that it was trained on; None where it is not known.
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


def write_trained_on(base: Path | None, own: Iterable[str], out: Path) -> bool:
    """Write the pictures that a model was fitted or chosen on, and all models whose weights it descends from.

    The file travels with the model, so that it is known for ever, whatever becomes of its ancestors.

    Args:
        base: The artifact folder, or the file, of the model whose weights this one started from, if there is one.
        own: sha256s of the pictures of this model, validation included.
        out: The model's artifact folder.

    Returns:
        Whether all are known, for `file_names.ANCESTORS_KNOWN`; not so if an ancestor has no such file.
    """
    import pandas as pd

    contents, known = set(own), True
    if base is not None:
        known = bool(_lists_all(base))
        if (inherited := base / file_names.TRAINED_ON).is_file():
            contents |= set(pd.read_parquet(inherited).sha256)
    table = pd.DataFrame({"sha256": sorted(contents)}, dtype=str)
    table.to_parquet(out / file_names.TRAINED_ON, index=False)
    return known


def _lists_all(model: Path) -> bool | None:
    """Whether a model's own list has the pictures of all its ancestors; None if the model has no list."""
    if not (model / file_names.TRAINED_ON).is_file():
        return None
    return json.loads((model / file_names.METRICS).read_text())[file_names.ANCESTORS_KNOWN]


def are_known(model: Path, balance: Path | None) -> bool:
    """Whether `training_contents` has all of them. Arguments as there."""
    lists_all = _lists_all(model)
    return balance is not None if lists_all is None else lists_all


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
