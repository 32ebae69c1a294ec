"""The predictions of several models on the same test pictures, side by side.

The table has a row per content: path, sha256, label, generator; set, one of `SETS`; group, the generator, or the origin
of new human art; and for each side p_ai_<side>, predicted_<side>, verdict_<side> and right_<side>. The sides are those
of `SIDES`, of which a missing champion is left out, and possibly "reference", the first champion.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.artifacts import file_names
from artdetect.core.errors import DataError
from artdetect.pictures.labels import AI, CLASSES, INCOMING
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.paired_bootstrap import mean_difference
from artdetect.stats.paired_sources import log_loss_change

if TYPE_CHECKING:
    import pandas as pd

SIDES = ("champion", "challenger")
SETS = ("known", "new")  # test pictures of the data set, and those that arrived later
COLUMNS = ("p_ai", "predicted", "verdict")  # of predictions.parquet
MAX_FLIPS = 20  # flipped pictures listed in each direction


def read(index: Path, balance: Path, scores: Mapping[str, Path]) -> "tuple[pd.DataFrame, int]":
    """Join the predictions of all sides on the test pictures of a balance.

    Args:
        index: The index artifact.
        balance: The balance artifact.
        scores: Side -> its evaluation artifact.

    Returns:
        The table, and the number of contents that are left out because they stand under both labels.

    Raises:
        DataError: an evaluation's pictures are not the test pictures of the balance.
    """
    import pandas as pd

    test = pd.read_parquet(balance / file_names.BALANCE)
    test = test[test.split == "test"][["path", "sha256", "label", "generator"]]
    origin = pd.read_parquet(index / file_names.INDEX, columns=["path", "origin"])
    table = test.merge(origin, on="path", how="left", validate="1:1")
    if table.origin.isna().any():
        missing = int(table.origin.isna().sum())
        raise DataError(f"{balance}: does not belong to {index}: {missing:,} test pictures are not in that index")
    expected = set(zip(test.path, test.sha256, strict=True))
    for side, folder in scores.items():
        predictions = pd.read_parquet(folder / file_names.PREDICTIONS, columns=["path", "sha256", *COLUMNS])
        pictures = set(zip(predictions.path, predictions.sha256, strict=True))
        if pictures != expected:
            raise DataError(
                f"{folder}: the {side} was evaluated without {len(expected - pictures):,} of the {len(expected):,} "
                f"test pictures, and on {len(pictures - expected):,} others: evaluate both on the same balance"
            )
        columns = {name: f"{name}_{side}" for name in COLUMNS}
        table = table.merge(predictions.drop(columns="sha256").rename(columns=columns), on="path", validate="1:1")
        table[f"right_{side}"] = table[f"predicted_{side}"] == table.label
    table["set"] = np.where(table.origin == INCOMING, "new", "known")
    table["group"] = [_group(row.path, row.label, row.generator, row.set) for row in table.itertuples()]
    disputed = table.groupby("sha256").label.transform("nunique") > 1
    agreed = table[~disputed].drop(columns="origin").sort_values(["set", "path"])  # known before new
    return agreed.drop_duplicates("sha256").reset_index(drop=True), table.sha256[disputed].nunique()


def _group(path: str, label: str, generator: str, where: str) -> str:
    if where == "known" or label == CLASSES[AI]:
        return str(generator)
    return f"{label}: {path.split('/')[2]}"  # incoming/human/<origin>/…


def degraded_accuracy(scores: Mapping[str, Path], contents: Collection[str]) -> "pd.DataFrame | str":
    """The share of degradations under which each picture is predicted right, one column per side.

    Args:
        scores: Side -> its evaluation artifact.
        contents: sha256s of the pictures to include.

    Returns:
        A row for each picture whose robustness was measured for all sides; or the reason why there is none.
    """
    import pandas as pd

    columns = {}
    for side, folder in scores.items():
        if not (file := folder / file_names.ROBUSTNESS).is_file():
            return f"the {side} was not evaluated on degraded pictures (evaluate.robustness_pictures)"
        table = pd.read_parquet(file)
        table = table[(table.condition != "clean") & table.sha256.isin(contents)]
        columns[side] = (table.predicted == table.label).groupby(table.sha256).mean()
    joined = pd.concat(columns, axis=1, join="inner").sort_index()
    return joined if len(joined) else "no picture was degraded for both"


def out_of_source(models: Mapping[str, Path], bootstrap: Bootstrap) -> dict[str, Any] | str:
    """The log loss of both models on art from other sources, see `paired_sources.log_loss_change`.

    Args:
        models: Side -> the model's artifact.
        bootstrap: The resamples.
    """
    import pandas as pd

    files = [models[side] / file_names.OUT_OF_SOURCE for side in SIDES]
    for side, file in zip(SIDES, files, strict=True):
        if not file.is_file():
            return f"the {side} was not tested on sources that it does not know"
    champion, challenger = map(pd.read_parquet, files)
    return log_loss_change(champion, challenger, bootstrap.resamples, bootstrap.seed)


def gains(table: "pd.DataFrame", side: str = "champion") -> np.ndarray:
    """1 where only the challenger is right, -1 where only the other side is, otherwise 0: float64 `(N,)`."""
    return table.right_challenger.to_numpy(float) - table[f"right_{side}"].to_numpy(float)


def groups(table: "pd.DataFrame", bootstrap: Bootstrap) -> list[dict[str, Any]]:
    """The accuracy in each test set and group.

    Args:
        table: See the module.
        bootstrap: The resamples behind the intervals.

    Returns:
        Rows, of each set "all" first: set, group, pictures, champion, challenger (accuracy), difference (value, low,
        high). Champion and difference are None where there is no champion.
    """
    result = []
    for name, rows in table.groupby("set", sort=False):
        parts = [("all", rows), *((str(group), part) for group, part in rows.groupby("group"))]
        for group, part in parts:
            row: dict[str, Any] = {"set": name, "group": group, "pictures": len(part), "champion": None}
            row |= {side: float(part[f"right_{side}"].mean()) for side in SIDES if f"right_{side}" in part}
            compared = "right_champion" in part
            result.append(row | {"difference": mean_difference([gains(part)], bootstrap) if compared else None})
    return result


def flips(table: "pd.DataFrame") -> dict[str, dict[str, Any]]:
    """The pictures on which only one model is right.

    Returns:
        right_to_wrong and wrong_to_right: count, and up to `MAX_FLIPS` pictures, the largest change of p(AI) first.
    """
    if "right_champion" not in table:
        return {}
    gain = gains(table)
    result = {}
    for name, rows in (("right_to_wrong", table[gain < 0]), ("wrong_to_right", table[gain > 0])):
        change = (rows.p_ai_challenger - rows.p_ai_champion).abs()
        first = rows.loc[change.sort_values(ascending=False, kind="stable").index[:MAX_FLIPS]]
        columns = ["path", "sha256", "label", "set", "group", "p_ai_champion", "p_ai_challenger"]
        result[name] = {"count": len(rows), "pictures": first[columns].to_dict("records")}
    return result
