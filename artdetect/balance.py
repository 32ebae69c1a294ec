"""balance: assign the pictures to train, validation and test.

Every choice depends on a seeded hash of the content of a picture, not on its position in a list. So the listing order,
the file system and added pictures do not move a picture to another split. Near-duplicates from the audit stay
together: no picture in validation or test has a copy in train.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from artdetect.artifacts import file_names
from artdetect.core.config_section import Section
from artdetect.core.errors import DataError
from artdetect.pictures.content_draw import draw_key
from artdetect.pictures.labels import AI, CLASSES

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["path", "sha256", "label", "style", "generator", "source", "split", "group", "weight"]
_INDEX_COLUMNS = ["path", "sha256", "label", "style", "generator", "source", "split", "ok"]


def _as_tuple(names: Any) -> Any:
    return (names,) if isinstance(names, str) else names


class BalanceConfig(Section):
    """Section `balance`."""

    seed: int = Field(129, description="seed of the draw; 129 as in the notebook")
    validation_fraction: float = Field(0.1, gt=0, lt=0.5, description="fraction of training pictures that validate")
    method: Literal["weights", "undersample", "none"] = Field(
        "weights",
        description="equal classes by weights that count the rarer class more, by leaving pictures out, or not at all",
    )
    held_out_generators: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        (),
        description="generators excluded from training and validation, to measure performance on unseen ones",
    )
    excluded_sources: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        (), description="sources whose pictures are not used at all, for instance of poor quality"
    )


def run(config: BalanceConfig, index_folder: Path, audit_folder: Path, out: Path) -> None:
    """Write balance.parquet, the table that `balance` returns: one row per picture that is used.

    The index's notice.txt, if there is one, is copied, because a model says what its pictures' data set says.

    Args:
        config: Section `balance`.
        index_folder: The artifact folder of the index.
        audit_folder: The artifact folder of that index's audit.
        out: The folder to write to.

    Raises:
        DataError: See `balance`.
    """
    import pandas as pd

    table = pd.read_parquet(index_folder / file_names.INDEX, columns=_INDEX_COLUMNS)
    groups = pd.read_parquet(audit_folder / file_names.GROUPS, columns=["path", "group"])
    balance(table, groups, config).to_parquet(out / file_names.BALANCE, index=False)
    if (notice := index_folder / file_names.NOTICE).is_file():
        shutil.copyfile(notice, out / file_names.NOTICE)


def balance(table: "pd.DataFrame", groups: "pd.DataFrame", config: BalanceConfig) -> "pd.DataFrame":
    """Choose the pictures to use and assign each to a split.

    Pictures of `config.excluded_sources` are not used. Test is the whole test split of the rest. From train these are
    left out: unreadable pictures, second copies, pictures with a near or exact duplicate in test, and near or exact
    duplicates under two labels. Pictures of `config.held_out_generators` are held_out, except those with a duplicate in
    train. With undersampling, train and validation have equal classes, stratified over style x generator. No group is
    in both.

    Args:
        table: An index.
        groups: Columns path and group (int), with a row for each picture that has near or exact duplicates.
        config: Section `balance`.

    Returns:
        A table sorted by path: path, sha256, label, style, generator, source, split ("train", "validation", "test" or
        "held_out"), group (16 hex digits shared by near-duplicates in this table, otherwise missing) and weight (float,
        in training and validation).

    Raises:
        DataError: A class is missing or cannot be divided, or the names in `config` do not fit the data.
    """
    import pandas as pd

    table = _without_sources(table, config.excluded_sources).reset_index(drop=True)
    usable = _with_clusters(table, groups)
    test = usable[usable.split == "test"]
    learnable = usable[(usable.split == "train") & ~usable.cluster.isin(test.cluster)]
    learnable = learnable[learnable.groupby("cluster").label.transform("nunique") == 1].drop_duplicates("content")
    train, held_out = _split_held_out(learnable, config.held_out_generators)
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
    used = used.join(table[["path", "source"]])[COLUMNS]
    used = used.astype({"label": "str", "style": "str", "generator": "str", "source": "str"})
    return used.sort_values("path").reset_index(drop=True)


def _without_sources(table: "pd.DataFrame", sources: tuple[str, ...]) -> "pd.DataFrame":
    known = set(table.source)
    if unknown := [name for name in sources if name not in known]:
        raise DataError(
            f"balance.excluded_sources names {unknown[0]!r}, which is no source of these pictures. "
            f"Sources are: {', '.join(sorted(known))}"
        )
    return table[~table.source.isin(sources)]


def _with_clusters(table: "pd.DataFrame", groups: "pd.DataFrame") -> "pd.DataFrame":
    """The readable pictures, sorted by content and path: sha256, label, style, generator, split, content, cluster.

    `content` (int) numbers the contents in the order of their sha256s. `cluster` is the smallest content number among
    near-duplicates. Names are categories, to save memory.
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


def _split_held_out(rows: "pd.DataFrame", generators: tuple[str, ...]) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The pictures to train on and the held-out ones. Where near-duplicates are on both sides, only the former stay."""
    known = sorted(set(rows.generator[rows.label == CLASSES[AI]]))
    for name in generators:
        if name not in known:
            raise DataError(
                f"balance.held_out_generators names {name!r}, which is no AI generator of the training pictures. "
                f"Those are: {', '.join(known) or 'none'}"
            )
    if known and set(known) == set(generators):
        raise DataError(
            f"balance.held_out_generators names every AI generator ({', '.join(known)}): "
            "at least one must remain for training"
        )
    held_out = rows.generator.isin(generators)
    train = rows[~held_out]
    return train, rows[held_out & ~rows.cluster.isin(train.cluster)]


def _check_classes(split: str, rows: "pd.DataFrame", readable: "pd.DataFrame") -> None:
    for label in CLASSES:
        left_out = int((readable.label == label).sum())
        if label in set(rows.label):
            continue
        if left_out:
            raise DataError(
                f"{split} holds no usable {label} picture: all {left_out} have a near or exact duplicate in test, are "
                "under both labels, or are held out. The audit names them; add other pictures"
            )
        counts = readable.label.value_counts()
        existing = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none at all"
        raise DataError(
            f"{split} holds no {label} pictures (found: {existing}). "
            f"Human art belongs in {split}/<style>/, AI art in {split}/AI_<GENERATOR>_<style>/"
        )


def _validation(train: "pd.DataFrame", config: BalanceConfig) -> "pd.DataFrame":
    """The pictures of `train` to use for validation, in whole clusters; equal classes if undersampled."""
    clusters = train.groupby(["label", "cluster"], observed=True).size()
    sizes = clusters.groupby("label", observed=True).agg(["sum", "count", "min"])
    for label, (pictures, units, _) in sizes.iterrows():
        if pictures == 1:
            raise DataError(
                f"train has a single usable {label} picture, but training and validation need one each. Add pictures"
            )
        if units == 1:
            raise DataError(
                f"the {pictures} usable {label} pictures in train are all near-duplicates of each other: "
                "training and validation need different ones. Add other pictures"
            )
    fewest = sizes["sum"].min()
    counts = {
        str(label): max(
            round(config.validation_fraction * (fewest if config.method == "undersample" else pictures)), smallest
        )
        for label, (pictures, _, smallest) in sizes.iterrows()
    }
    return _draw(train, counts, "cluster", f"validation {config.seed}")


def _undersample(rows: "pd.DataFrame", purpose: str) -> "pd.DataFrame":
    """Reduce each class to the number of pictures of the rarest one."""
    fewest = rows.label.value_counts().min()
    return _draw(rows, dict.fromkeys(CLASSES, fewest), "content", purpose)


def _class_weights(labels: "pd.Series") -> "pd.Series":
    """Weights of pictures / (2 x pictures of the class): each class counts the same, and the mean is 1."""
    return len(labels) / (len(CLASSES) * labels.groupby(labels, observed=True).transform("size"))


def _draw(rows: "pd.DataFrame", counts: Mapping[str, int], unit: str, purpose: str) -> "pd.DataFrame":
    """Draw pictures in whole units, stratified over style x generator, by content hash.

    A unit counts for the stratum of its first picture. Within a stratum, units are sorted by their hashes, and each
    has a height: the position of its middle, from 0 to 1. For each label the lowest units that still fit are taken. So
    every stratum contributes its share, and the total is exact as long as there are units of one picture.

    Args:
        rows: Pictures sorted by sha256.
        counts: The number of pictures to draw per label.
        unit: The column whose equal values form a unit.
        purpose: The name and seed of the draw.
    """
    units = rows.drop_duplicates(unit)
    units = units.assign(size=units[unit].map(rows[unit].value_counts()))
    units["rank"] = [draw_key(purpose, sha256) for sha256 in units.sha256]
    units = units.sort_values("rank")
    strata = units.groupby(["label", "generator", "style"], observed=True)["size"]
    units["height"] = (strata.cumsum() - units["size"] / 2) / strata.transform("sum")
    taken: list[int] = []
    for label, candidates in units.sort_values("height", kind="stable").groupby("label", observed=True):
        remaining = counts[str(label)]
        for name, size in zip(candidates[unit].tolist(), candidates["size"].tolist(), strict=True):
            if size <= remaining:
                taken.append(name)
                remaining -= size
    return rows[rows[unit].isin(taken)]
