"""Metrics of two models on the same pictures, and what chance alone could have done to their differences."""

from collections.abc import Callable
from typing import Any

import numpy as np

from artdetect.stats.bootstrap import QUANTILES, Ranking, average_precision, draws, roc_auc

METRICS = {"accuracy": 1, "balanced_accuracy": 1, "roc_auc": 1, "average_precision": 1, "brier": -1, "log_loss": -1}
UNCLEAR = "no clear difference"  # METRICS: 1 where more is better, -1 where less is

Scorer = Callable[[np.ndarray], np.ndarray]


def scorer(truth: np.ndarray, p_ai: np.ndarray, called_ai: np.ndarray) -> Scorer:
    """What gives a model's metrics, float64 `(6,)` as in `METRICS`, where picture i counts `weights[i]` times.

    `weights` keep the number of each class. All arguments are `(n,)`; `truth` and `called_ai` are True for AI. Scores
    are sorted once and not for each weighting; equal ones share a threshold. Without pictures of a class the metrics
    between the two are NaN. Probabilities of 0 and 1 count as one rounding error off, as in scikit-learn's log loss.
    """
    pictures, ai = len(truth), int(truth.sum())
    human = pictures - ai
    right = called_ai == truth
    off = np.finfo(np.float64).eps
    parts = [
        right / pictures,
        right / (2 * np.where(truth, ai, human)),
        (p_ai - truth) ** 2 / pictures,
        -np.log(np.clip(np.where(truth, p_ai, 1 - p_ai), off, 1 - off)) / pictures,
    ]
    means = np.stack(parts)
    ranking = Ranking(truth, p_ai)

    def under(weights: np.ndarray) -> np.ndarray:
        accuracy, balanced, brier, log_loss = np.einsum("ij,j->i", means, weights)  # @ wakes BLAS's threads, at a loss
        if not ai or not human:
            return np.array([accuracy, np.nan, np.nan, np.nan, brier, log_loss])
        curve = ranking.curve(weights[None])
        return np.array([accuracy, balanced, *roc_auc(*curve), *average_precision(*curve), brier, log_loss])

    return under


def differences(truth: np.ndarray, old: Scorer, new: Scorer, resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    """Metric -> old, new, change, and the interval low to high of the change, with its verdict; None where undefined.

    The interval is the percentile one of a paired bootstrap: both models see the same draw. The verdict is better,
    worse or `UNCLEAR`, by whether it excludes 0.
    """
    once = np.ones(len(truth), np.int64)
    values = old(once), new(once)
    drawn = np.array([new(times) - old(times) for (times,) in draws(truth, resamples, seed, 1)])
    tails = np.quantile(drawn, QUANTILES, axis=0)
    rows = np.stack([*values, values[1] - values[0], *tails]).round(12)  # sums in another order are no difference
    found = {}
    for (name, sign), row in zip(METRICS.items(), rows.T, strict=True):
        numbers = [None] * 5 if np.isnan(row).any() else (row + 0.0).tolist()  # + 0.0: no minus before a zero
        fields: dict[str, Any] = dict(zip(("old", "new", "change", "low", "high"), numbers, strict=True))
        found[name] = fields | {"verdict": None if numbers[0] is None else _verdict(sign, fields)}
    return found


def _verdict(sign: int, fields: dict[str, float]) -> str:
    if fields["low"] <= 0 <= fields["high"]:
        return UNCLEAR
    return "better" if fields["low"] * sign > 0 else "worse"


def mcnemar(lost: int, won: int) -> float:
    """The p-value of McNemar's exact test: that chance alone divides `lost` + `won` flips so unevenly or more so."""
    from scipy.stats import binomtest

    return float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
