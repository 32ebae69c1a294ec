"""balance: which pictures train, which validate, which test.

Every choice is made by a seeded hash of a picture's content, not by drawing from a list: the listing order, the file
system and pictures added elsewhere do not move a picture from one side to the other. Near-duplicates, which the audit
found, stay together: what validates or tests has no copy among what trained.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from artdetect.core.config_section import Section
from artdetect.core.errors import DataError
from artdetect.pictures.labels import AI, CLASSES

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["path", "sha256", "label", "style", "generator", "split", "group", "weight"]
_READ = ["path", "sha256", "label", "style", "generator", "split", "ok"]  # of the index


def _several(names: Any) -> Any:
    return (names,) if isinstance(names, str) else names  # one is written as a word


class BalanceConfig(Section):
    """Section `balance`."""

    seed: int = Field(129, description="decides who is drawn; 129 as in the notebook")
    validation: float = Field(0.1, gt=0, lt=0.5, description="share of the training pictures that validate")
    method: Literal["weights", "undersample", "none"] = Field(
        "weights",
        description="equal classes by weights that count the rarer class more, by leaving pictures out, or not at all",
    )
    hold_out: Annotated[tuple[str, ...], BeforeValidator(_several)] = Field(
        (), description="generators kept out of training and validation, to see how the model does on what it never saw"
    )


def run(config: BalanceConfig, index_folder: Path, audit_folder: Path, out: Path) -> None:
    """Write `balance.parquet`, a row a picture that is used: see `balance`."""
    import pandas as pd

    table = pd.read_parquet(index_folder / "index.parquet", columns=_READ)
    groups = pd.read_parquet(audit_folder / "groups.parquet", columns=["path", "group"])
    balance(table, groups, config).to_parquet(out / "balance.parquet", index=False)


def balance(table: "pd.DataFrame", groups: "pd.DataFrame", config: BalanceConfig) -> "pd.DataFrame":
    """The pictures to use, sorted by path: path, sha256, label, style, generator, split, group, weight.

    `table` is an index; `groups` has path and group (int), a row for each picture that has near or exact duplicates.

    Split is train, validation, test or held_out. Test is what the data set calls test, whole. Left out of the rest:
    unreadable pictures, second copies, what has a near or exact duplicate in test, and near or exact duplicates under
    two labels. Pictures of `config.hold_out` are held_out, but for those with a duplicate in train. Train and
    validation have equal classes if undersampled, stratified over style x generator; no group stands in both.

    Group names near-duplicates that are all in the table by 16 hex digits of a content of theirs, and is missing for
    the others. Weight (float) is what a picture counts in training and validation.

    Raises:
        DataError: a class is missing or cannot be divided, or `config.hold_out` does not fit the data.
    """
    import pandas as pd

    table = table.reset_index(drop=True)
    usable = _with_clusters(table, groups)
    test = usable[usable.split == "test"]
    learnable = usable[(usable.split == "train") & ~usable.cluster.isin(test.cluster)]
    learnable = learnable[learnable.groupby("cluster").label.transform("nunique") == 1].drop_duplicates("content")
    train, held_out = _hold_out(learnable, config.hold_out)
    for split, rows in {"train": train, "test": test}.items():
        _check_classes(split, rows, usable[usable.split == split])

    validation = _validation(train, config)
    train = train[~train.cluster.isin(validation.cluster)]
    if config.method == "undersample":
        train, validation = (_undersample(rows, f"balance {config.seed}") for rows in (train, validation))
    parts = {"train": train, "validation": validation, "test": test, "held_out": held_out}
    weighted = ("train", "validation") if config.method == "weights" else ()
    used = pd.concat(
        [
            rows.assign(split=split, weight=_class_weights(rows.label) if split in weighted else 1.0)
            for split, rows in parts.items()
        ]
    )
    smallest = used.groupby("cluster").sha256.transform("min").str[:16]
    used["group"] = smallest.where(used.duplicated("cluster", keep=False)).astype("string")
    used = used.join(table.path)[COLUMNS].astype({"label": "str", "style": "str", "generator": "str"})
    return used.sort_values("path").reset_index(drop=True)


def _with_clusters(table: "pd.DataFrame", groups: "pd.DataFrame") -> "pd.DataFrame":
    """The readable pictures, sorted by content and path: sha256, label, style, generator, split, content, cluster.

    `content` (int) numbers the contents in the order of their sha256s; `cluster` is the smallest one of all
    near-duplicates. Names are categories here, to be small in memory.
    """
    usable = table[table.ok].sort_values(["sha256", "path"])
    content = usable.sha256.ne(usable.sha256.shift()).cumsum()
    group = usable.path.map(groups.set_index("path").group)
    usable = usable[["sha256", "label", "style", "generator", "split"]].astype(
        {"label": "category", "style": "category", "generator": "category"}
    )
    usable["content"] = content
    usable["cluster"] = content.where(group.isna(), content.groupby(group).transform("min")).astype("int64")
    return usable


def _hold_out(rows: "pd.DataFrame", generators: tuple[str, ...]) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """What trains, and what is held out; of near-duplicates on both sides, those that train stay."""
    known = sorted(set(rows.generator[rows.label == CLASSES[AI]]))
    for name in generators:
        if name not in known:
            raise DataError(
                f"balance.hold_out names {name!r}, which is no AI generator among the training pictures. "
                f"Those are: {', '.join(known) or 'none'}"
            )
    if known and set(known) == set(generators):
        raise DataError(
            f"balance.hold_out names every AI generator there is ({', '.join(known)}): one at least has to train"
        )
    held = rows.generator.isin(generators)
    train = rows[~held]
    return train, rows[held & ~rows.cluster.isin(train.cluster)]


def _check_classes(split: str, rows: "pd.DataFrame", readable: "pd.DataFrame") -> None:
    for label in CLASSES:
        left_out = int((readable.label == label).sum())
        if label in set(rows.label):
            continue
        if left_out:
            raise DataError(
                f"{split} holds no {label} picture to learn from: all {left_out} have a near or exact duplicate in "
                "test, stand under both labels, or are held out. The audit names them; add other pictures"
            )
        counts = readable.label.value_counts()
        found = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none at all"
        raise DataError(
            f"{split} holds no {label} pictures (found: {found}). "
            f"Human art belongs in {split}/<style>/, AI art in {split}/AI_<GENERATOR>_<style>/"
        )


def _validation(train: "pd.DataFrame", config: BalanceConfig) -> "pd.DataFrame":
    """The pictures of `train` that validate, by whole clusters; as many of each class if they are undersampled."""
    clusters = train.groupby(["label", "cluster"], observed=True).size()
    sizes = clusters.groupby("label", observed=True).agg(["sum", "count", "min"])
    for label, (pictures, units, _) in sizes.iterrows():
        if pictures == 1:
            raise DataError(
                f"train holds a single usable {label} picture: one has to train and another to validate. Add pictures"
            )
        if units == 1:
            raise DataError(
                f"the {pictures} usable {label} pictures in train are all near-duplicates of each other: "
                "one has to train and an unlike one to validate. Add other pictures"
            )
    fewest = sizes["sum"].min()
    wanted = {
        str(label): max(round(config.validation * (fewest if config.method == "undersample" else pictures)), smallest)
        for label, (pictures, _, smallest) in sizes.iterrows()
    }
    return _draw(train, wanted, "cluster", f"validation {config.seed}")


def _undersample(rows: "pd.DataFrame", purpose: str) -> "pd.DataFrame":
    """As many pictures of each class as there are of the rarest."""
    fewest = rows.label.value_counts().min()
    return _draw(rows, dict.fromkeys(CLASSES, fewest), "content", purpose)


def _class_weights(labels: "pd.Series") -> "pd.Series":
    """Pictures / (2 x pictures of the class): each class counts the same, and the mean is 1."""
    return len(labels) / (len(CLASSES) * labels.groupby(labels, observed=True).transform("size"))


def _draw(rows: "pd.DataFrame", wanted: Mapping[str, int], unit: str, purpose: str) -> "pd.DataFrame":
    """`wanted[label]` pictures of each label, whole units only, stratified over style x generator by content hash.

    `rows` are sorted by sha256; a unit, the rows with one value in column `unit`, counts for the stratum of its first
    picture. Within a stratum units stand in the order of their hashes, each at the height of its middle between 0 and
    1, and the lowest ones of a label are taken that still fit: every stratum gives its share, and the total is exact
    as long as there are units of one picture.
    """
    units = rows.drop_duplicates(unit)
    units = units.assign(size=units[unit].map(rows[unit].value_counts()))
    units["rank"] = [hashlib.sha256(f"{purpose} {sha256}".encode()).digest() for sha256 in units.sha256]
    units = units.sort_values("rank")
    strata = units.groupby(["label", "generator", "style"], observed=True)["size"]
    units["height"] = (strata.cumsum() - units["size"] / 2) / strata.transform("sum")
    taken: list[int] = []
    for label, candidates in units.sort_values("height", kind="stable").groupby("label", observed=True):
        left = wanted[str(label)]
        for name, size in zip(candidates[unit].tolist(), candidates["size"].tolist(), strict=True):
            if size <= left:
                taken.append(name)
                left -= size
    return rows[rows[unit].isin(taken)]
