"""Which test pictures are explained: of each class the most confident hits and errors and the closest calls.

They are chosen by rule and not by eye, so that a report cannot show only those that flatter the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artdetect.core.errors import DataError
from artdetect.model.decision import threshold_distance
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import pandas as pd

RULES = ("most confident right", "most confident wrong", "least sure")


def select(predictions: pd.DataFrame, per_group: int, threshold: float = 0.5) -> pd.DataFrame:
    """Choose up to `per_group` pictures for each true class and rule; fewer where there are not enough.

    A picture that fits several rules is chosen by the first of them. Two files of the same content are one picture.
    Ties go by path, so that the choice does not depend on the order of the rows.

    Args:
        predictions: One row per picture: `path` (str), `sha256` (str), `label` ("AI" or "human", the true class),
            `p_ai` (float in [0, 1]), `predicted` ("AI" or "human"), and any other columns.
        per_group: Pictures of one class and rule; 0 or more.
        threshold: The p(AI) from which pictures are predicted as AI. Pictures close to it are the least sure.

    Returns:
        The chosen rows with a column `rule`, one of `RULES`; by class as in `CLASSES`, then by rule, then best first.

    Raises:
        DataError: A column is missing, a probability is not in [0, 1], or a label is not a class.
        ValueError: `per_group` is negative.
    """
    import pandas as pd

    if per_group < 0:
        raise ValueError(f"`per_group` must be 0 or more. Received: per_group={per_group}")
    _check(predictions)
    remaining = predictions.sort_values("path", kind="stable", ignore_index=True).drop_duplicates("sha256")
    groups = []
    for label in CLASSES:
        for rule in RULES:
            of_class = remaining[remaining["label"] == label]
            group = _ranked(of_class, rule, threshold).head(per_group)
            groups.append(group.assign(rule=rule))
            remaining = remaining.drop(index=group.index)
    return pd.concat(groups, ignore_index=True)


def _ranked(rows: pd.DataFrame, rule: str, threshold: float) -> pd.DataFrame:
    """The rows that `rule` may choose, best first. They come sorted by path; a stable sort keeps that order in ties."""
    import pandas as pd

    distance = pd.Series(threshold_distance(rows["p_ai"].to_numpy(), threshold), rows.index)
    if rule == "least sure":
        return rows.loc[distance.sort_values(kind="stable").index]
    right = rows["predicted"] == rows["label"]
    allowed = distance[right if rule == "most confident right" else ~right]
    return rows.loc[(-allowed).sort_values(kind="stable").index]


def _check(predictions: pd.DataFrame) -> None:
    missing = [name for name in ("path", "sha256", "label", "p_ai", "predicted") if name not in predictions.columns]
    if missing:
        raise DataError(f"predictions lack the columns {missing}. Received: {list(predictions.columns)}")
    impossible = predictions[~predictions["p_ai"].between(0, 1)]
    if len(impossible):
        first = impossible.iloc[0]
        raise DataError(
            f"{len(impossible)} of {len(predictions)} predictions are not in [0, 1], the first for {first['path']}: "
            f"{first['p_ai']}; evaluate the model again"
        )
    unknown = sorted(set(predictions["label"]) - set(CLASSES), key=str)
    if unknown:
        raise DataError(f"labels must be among {list(CLASSES)}. Received: {unknown}")
