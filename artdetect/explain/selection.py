"""Which pictures are worth explaining: of each class the surest hits, the surest mistakes and the closest calls.

Chosen by rule and not by eye, so that a report cannot show the flattering ones only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artdetect.core.errors import DataError
from artdetect.model.decision import logit
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import pandas as pd

RULES = ("most confident right", "most confident wrong", "least sure")


def select(predictions: pd.DataFrame, per_rule: int, threshold: float = 0.5) -> pd.DataFrame:
    """Up to `per_rule` pictures of each rule for each true class; fewer where there are not enough.

    A picture that several rules name stands under the first of them; two files of the same content are one picture.
    Ties go by path, so that the choice does not depend on the order of the rows.

    Args:
        predictions: One row a picture: `path` (str), `sha256` (str), `label` ("AI" or "human", the true class),
            `p_ai` (float in [0, 1]), `called` ("AI" or "human"), and whatever else is to be kept.
        per_rule: Pictures of one rule and class; 0 or more.
        threshold: The p(AI) from which pictures were called AI: the nearer to it, the less sure.

    Returns:
        The chosen rows with a column `rule`, one of `RULES`; by class as in `CLASSES`, then by rule, then best first.

    Raises:
        DataError: A column is missing, a probability is not in [0, 1], or a label is not a class.
        ValueError: `per_rule` is negative.
    """
    import pandas as pd

    if per_rule < 0:
        raise ValueError(f"`per_rule` must be 0 or more. Received: per_rule={per_rule}")
    _check(predictions)
    left = predictions.sort_values("path", kind="stable", ignore_index=True).drop_duplicates("sha256")
    parts = []
    for label in CLASSES:
        for rule in RULES:
            of_class = left[left["label"] == label]
            found = _ranked(of_class, rule, threshold).head(per_rule)
            parts.append(found.assign(rule=rule))
            left = left.drop(index=found.index)
    return pd.concat(parts, ignore_index=True)


def _ranked(pictures: pd.DataFrame, rule: str, threshold: float) -> pd.DataFrame:
    """The pictures that `rule` may take, best first. They come sorted by path, and a stable sort keeps that in ties."""
    sureness = pictures["p_ai"].map(logit).sub(logit(threshold)).abs()
    if rule == "least sure":
        return pictures.loc[sureness.sort_values(kind="stable").index]
    right = pictures["called"] == pictures["label"]
    allowed = sureness[right if rule == "most confident right" else ~right]
    return pictures.loc[(-allowed).sort_values(kind="stable").index]


def _check(predictions: pd.DataFrame) -> None:
    missing = [name for name in ("path", "sha256", "label", "p_ai", "called") if name not in predictions.columns]
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
