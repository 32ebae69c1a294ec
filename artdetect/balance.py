"""balance: which pictures train, which validate, which test.

Every choice is made by a seeded hash of a picture's content, not by drawing from a list: the listing order, the file
system and pictures added elsewhere do not move a picture from one side to the other.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from artdetect.errors import DataError
from artdetect.labels import CLASSES
from artdetect.section import Section

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["path", "sha256", "label", "style", "generator", "split"]


class BalanceConfig(Section):
    """Section `balance`."""

    seed: int = Field(129, description="decides who is drawn; 129 as in the notebook")
    validation: float = Field(0.1, gt=0, lt=0.5, description="share of the training pictures that validate")


def run(config: BalanceConfig, index_folder: Path, out: Path) -> None:
    """Write `balance.parquet`: path, sha256, label, style, generator, split (train | validation | test)."""
    import pandas as pd

    table = pd.read_parquet(index_folder / "index.parquet")
    balance(table, config).to_parquet(out / "balance.parquet", index=False)


def balance(table: "pd.DataFrame", config: BalanceConfig) -> "pd.DataFrame":
    """The pictures to use, sorted by path, with split train, validation or test.

    Test is what the data set calls test, whole. Left out of train: unreadable pictures, second copies, what also stands
    in test, and contents under two labels. Train is undersampled to equal classes, stratified over style x generator;
    validation comes out of it in the same way. DataError where a class is missing.
    """
    import pandas as pd

    usable = table[table.ok].sort_values(["sha256", "path"])
    test = usable[usable.split == "test"]
    train = usable[(usable.split == "train") & ~usable.sha256.isin(test.sha256)]
    train = train[train.groupby("sha256").label.transform("nunique") == 1].drop_duplicates("sha256")
    for split, rows in {"train": train, "test": test}.items():
        _check_classes(split, rows)
    fewest = train.label.value_counts().min()
    if fewest < 2:
        raise DataError("train holds a single usable picture of a class: one has to train and another to validate")
    train = _draw(train, lambda n: fewest, f"balance {config.seed}")
    validation = _draw(train, lambda n: max(1, round(config.validation * n)), f"validation {config.seed}")
    split = train.path.isin(validation.path).map({True: "validation", False: "train"})
    result = pd.concat([train.assign(split=split), test])
    return result[COLUMNS].sort_values("path").reset_index(drop=True)


def _check_classes(split: str, rows: "pd.DataFrame") -> None:
    missing = [label for label in CLASSES if label not in set(rows.label)]
    if missing:
        found = ", ".join(f"{count} {label}" for label, count in rows.label.value_counts().items()) or "none at all"
        raise DataError(
            f"{split} holds no {' and no '.join(missing)} pictures (found: {found}). "
            f"Human art belongs in {split}/<style>/, AI art in {split}/AI_<GENERATOR>_<style>/"
        )


def _draw(rows: "pd.DataFrame", how_many: Callable[[int], int], purpose: str) -> "pd.DataFrame":
    """`how_many(n)` of the n pictures of each label, stratified over style x generator, chosen by content hash.

    Within a stratum the pictures stand at evenly spaced heights in the order of their hashes, and the lowest ones of a
    label are taken: every stratum gives its share, and the total is exact.
    """
    import pandas as pd

    rank = rows.sha256.map(lambda sha256: hashlib.sha256(f"{purpose} {sha256}".encode()).hexdigest())
    strata = rank.groupby([rows.label, rows.generator, rows["style"]])
    height = (strata.rank() - 0.5) / strata.transform("size")
    ordered = rows.assign(height=height, rank=rank).sort_values(["height", "rank"])
    drawn = pd.concat([group.head(how_many(len(group))) for _, group in ordered.groupby("label")])
    return drawn.drop(columns=["height", "rank"])
