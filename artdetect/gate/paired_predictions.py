"""What both models say of the same test pictures, side by side.

A table has a row a content: path, sha256, label, generator, set (of `SETS`), group (the generator, or where new human
art comes from), and for each side that there is p_ai_<side>, called_<side> and right_<side>. Sides are those of `SIDES`
and "reference", the first champion.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.core import digests
from artdetect.core.errors import DataError
from artdetect.model.detector import MODEL_FILE, model_id, read_card
from artdetect.pictures.labels import AI, CLASSES, INCOMING
from artdetect.stats.bootstrap import QUANTILES, draws
from artdetect.stats.confidence_intervals import metric as interval
from artdetect.stats.confidence_intervals import wilson

if TYPE_CHECKING:
    import pandas as pd

SIDES = ("champion", "challenger")
SETS = ("old", "new")  # test pictures of the data set, and those that came in since
MAX_FLIPS = 20  # flipped pictures listed in each direction


def model_id_of(model: Path) -> str:
    """A model's id, without TensorFlow."""
    file = model / MODEL_FILE
    return model_id(read_card(file)["preset"], digests.file_digest(file))


def read(index: Path, balance: Path, scores: Mapping[str, Path]) -> "tuple[pd.DataFrame, int]":
    """The table, and how many contents stand under both labels and are left out; `scores`: evaluations by side.

    DataError where an evaluation's pictures are not the test pictures of the balance.
    """
    import pandas as pd

    test = pd.read_parquet(balance / "balance.parquet")
    test = test[test.split == "test"][["path", "sha256", "label", "generator"]]
    origin = pd.read_parquet(index / "index.parquet", columns=["path", "origin"])
    table = test.merge(origin, on="path", how="left", validate="1:1")
    if table.origin.isna().any():
        raise DataError(f"{balance}: not of {index}: {int(table.origin.isna().sum()):,} test pictures are not in it")
    expected = set(zip(test.path, test.sha256, strict=True))
    for side, folder in scores.items():
        seen = pd.read_parquet(folder / "predictions.parquet", columns=["path", "sha256", "p_ai", "called"])
        pictures = set(zip(seen.path, seen.sha256, strict=True))
        if pictures != expected:
            raise DataError(
                f"{folder}: the {side} was evaluated without {len(expected - pictures):,} of the {len(expected):,} "
                f"test pictures, and on {len(pictures - expected):,} others: evaluate both on the same balance"
            )
        columns = {name: f"{name}_{side}" for name in ("p_ai", "called")}
        table = table.merge(seen.drop(columns="sha256").rename(columns=columns), on="path", validate="1:1")
        table[f"right_{side}"] = table[f"called_{side}"] == table.label
    table["set"] = np.where(table.origin == INCOMING, "new", "old")
    table["group"] = [_group(row.path, row.label, row.generator, row.set) for row in table.itertuples()]
    disputed = table.groupby("sha256").label.transform("nunique") > 1
    agreed = table[~disputed].drop(columns="origin").sort_values(["set", "path"], ascending=[False, True])  # old first
    return agreed.drop_duplicates("sha256").reset_index(drop=True), table.sha256[disputed].nunique()


def _group(path: str, label: str, generator: str, where: str) -> str:
    if where == "old" or label == CLASSES[AI]:
        return str(generator)
    return f"{label}: {path.split('/')[2]}"  # incoming/human/<origin>/…


def degraded(scores: Mapping[str, Path], judged: Collection[str]) -> "pd.DataFrame | str":
    """The share of degradations under which each picture of both robustness trials is called right, a column a side.

    Of the contents (sha256s) in `judged` only. Where it cannot be said, why, in words.
    """
    import pandas as pd

    columns = {}
    for side, folder in scores.items():
        if not (file := folder / "robustness.parquet").is_file():
            return f"the {side} was not tried on degraded pictures (evaluate.robustness)"
        trial = pd.read_parquet(file)
        trial = trial[(trial.condition != "clean") & trial.sha256.isin(judged)]
        columns[side] = (trial.called == trial.label).groupby(trial.sha256).mean()
    table = pd.concat(columns, axis=1, join="inner").sort_index()
    return table if len(table) else "no picture was degraded for both"


def difference(parts: Sequence[np.ndarray], resamples: int, seed: int) -> dict[str, float]:
    """The mean over parts of the mean difference within each, with its paired bootstrap interval.

    A part is what the challenger has more than the champion on each of its pictures, in [-1, 1]; each is drawn by
    itself. Where no resample differs, as where no verdict does, what so few pictures might hide stands for the
    interval: Wilson's of a share that was never seen.
    """
    value = float(np.mean([part.mean() for part in parts]))
    drawn = np.mean([_means(part, resamples, seed + number) for number, part in enumerate(parts)], axis=0)
    low, high = np.quantile(drawn, QUANTILES)
    if np.isclose(low, high):
        reach = np.mean([wilson(0, len(part))[1] for part in parts])
        low, high = max(-1.0, value - reach), min(1.0, value + reach)
    return {name: round(number, 12) + 0.0 for name, number in interval(value, low, high).items()}


def _means(part: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    counts = draws(np.ones(len(part), bool), resamples, seed)
    return np.concatenate([drawn @ part for drawn in counts]) / len(part)


def gains(table: "pd.DataFrame", than: str = "champion") -> np.ndarray:
    """1 where only the challenger is right, -1 where only the side `than` is: float64 `(N,)`."""
    return table.right_challenger.to_numpy(float) - table[f"right_{than}"].to_numpy(float)


def groups(table: "pd.DataFrame", resamples: int, seed: int) -> list[dict[str, Any]]:
    """A row a test set and group, "all" first: set, group, pictures, champion, challenger (shares called right),
    difference (value, low, high). None for what a missing champion leaves out.
    """
    found = []
    for name, rows in table.groupby("set", sort=False):
        parts = [("all", rows), *((str(group), part) for group, part in rows.groupby("group"))]
        for group, part in parts:
            row: dict[str, Any] = {"set": name, "group": group, "pictures": len(part), "champion": None}
            row |= {side: float(part[f"right_{side}"].mean()) for side in SIDES if f"right_{side}" in part}
            compared = "right_champion" in part
            found.append(row | {"difference": difference([gains(part)], resamples, seed) if compared else None})
    return found


def flips(table: "pd.DataFrame") -> dict[str, dict[str, Any]]:
    """right_to_wrong and wrong_to_right: count, and up to `SHOWN` pictures, those first whose p(AI) changed most."""
    if "right_champion" not in table:
        return {}
    gain = gains(table)
    found = {}
    for name, rows in (("right_to_wrong", table[gain < 0]), ("wrong_to_right", table[gain > 0])):
        change = (rows.p_ai_challenger - rows.p_ai_champion).abs()
        first = rows.loc[change.sort_values(ascending=False, kind="stable").index[:MAX_FLIPS]]
        columns = ["path", "sha256", "label", "set", "group", "p_ai_champion", "p_ai_challenger"]
        found[name] = {"count": len(rows), "pictures": first[columns].to_dict("records")}
    return found
