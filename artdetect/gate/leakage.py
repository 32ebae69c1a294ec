"""What the models learnt from: on a picture that one knows, or on one that looks like it, being right proves little.

A test picture of today may be known to an older champion: it trained on a near-duplicate which has left train since, as
a copy of a test picture came in.
"""

from collections.abc import Iterable
from pathlib import Path


def training_contents(balance: Path) -> set[str]:
    """The sha256s of the pictures that a balance has a model train or be chosen on."""
    import pandas as pd

    table = pd.read_parquet(balance / "balance.parquet", columns=["sha256", "split"])
    return set(table.sha256[table.split.isin(("train", "validation"))])


def near_duplicates_of(index: Path, audit: Path, learnt: Iterable[str]) -> set[str]:
    """The sha256s of pictures of an index that are `learnt`, or near-duplicates of one by the index's audit."""
    import pandas as pd

    table = pd.read_parquet(index / "index.parquet", columns=["path", "sha256"])
    group = table.path.map(pd.read_parquet(audit / "groups.parquet").set_index("path").group)
    known = table.sha256.isin(set(learnt))
    return set(table.sha256[known | (group.notna() & group.isin(group[known]))])
