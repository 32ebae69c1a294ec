"""Metrics of two models on the same pictures, with the intervals of their differences."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from artdetect.stats.bootstrap import QUANTILES, Bootstrap, Ranking, average_precision, roc_auc
from artdetect.stats.confidence_intervals import metric, wilson
from artdetect.stats.log_loss import log_losses

# 1 where more is better, -1 where less is
METRICS = {"accuracy": 1, "balanced_accuracy": 1, "roc_auc": 1, "average_precision": 1, "brier": -1, "log_loss": -1}
UNCLEAR = "no clear difference"

Scorer = Callable[[np.ndarray], np.ndarray]


def scorer(truth: np.ndarray, p_ai: np.ndarray, predicted_ai: np.ndarray) -> Scorer:
    """Prepare a function that computes a model's metrics of weighted pictures.

    Scores are sorted once and not for each weighting; equal scores share a threshold. Probabilities of 0 and 1 count as
    one rounding error off, as in scikit-learn's log loss.

    Args:
        truth: bool `(N,)`, True for AI.
        p_ai: float64 `(N,)`.
        predicted_ai: bool `(N,)`, True where the model predicts AI.

    Returns:
        A function from weights `(N,)`, whole numbers that sum to the size of each class, to float64 `(6,)`: the values
        of `METRICS`. Without pictures of one class the metrics that need both are NaN.
    """
    pictures, ai = len(truth), int(truth.sum())
    human = pictures - ai
    right = predicted_ai == truth
    means = np.stack(
        [
            right / pictures,
            right / (2 * np.where(truth, ai, human)),
            (p_ai - truth) ** 2 / pictures,
            log_losses(truth, p_ai) / pictures,
        ]
    )
    ranking = Ranking(truth, p_ai)

    def score(weights: np.ndarray) -> np.ndarray:
        accuracy, balanced, brier, log_loss = np.einsum("ij,j->i", means, weights)  # @ starts BLAS's threads: slower
        if not ai or not human:
            return np.array([accuracy, np.nan, np.nan, np.nan, brier, log_loss])
        curve = ranking.curve(weights[None])
        return np.array([accuracy, balanced, *roc_auc(*curve), *average_precision(*curve), brier, log_loss])

    return score


def differences(truth: np.ndarray, old: Scorer, new: Scorer, bootstrap: Bootstrap) -> dict[str, dict[str, Any]]:
    """Compare two models by a paired bootstrap: both are scored on the same resamples.

    Args:
        truth: bool `(N,)`, True for AI.
        old: The old model's scorer.
        new: The new model's scorer.
        bootstrap: The resamples.

    Returns:
        Metric -> old, new, change, low and high (the percentile interval of the change) and verdict: better, worse or
        `UNCLEAR`, by whether the interval excludes 0. All are None where the metric is undefined.
    """
    once = np.ones(len(truth), np.int64)
    values = old(once), new(once)
    changes = np.array([new(counts) - old(counts) for (counts,) in bootstrap.counts(truth, block=1)])
    tails = np.quantile(changes, QUANTILES, axis=0)
    rows = np.stack([*values, values[1] - values[0], *tails]).round(12)  # another order of summation is no difference
    result = {}
    for (name, sign), row in zip(METRICS.items(), rows.T, strict=True):
        numbers = [None] * 5 if np.isnan(row).any() else (row + 0.0).tolist()  # + 0.0: no minus before a zero
        fields: dict[str, Any] = dict(zip(("old", "new", "change", "low", "high"), numbers, strict=True))
        result[name] = fields | {"verdict": None if numbers[0] is None else _verdict(sign, fields)}
    return result


def _verdict(sign: int, fields: dict[str, float]) -> str:
    if fields["low"] <= 0 <= fields["high"]:
        return UNCLEAR
    return "better" if fields["low"] * sign > 0 else "worse"


def mean_difference(parts: Sequence[np.ndarray], bootstrap: Bootstrap) -> dict[str, float]:
    """The mean over parts of the mean difference within each, with its paired bootstrap interval.

    Where no resample differs, as where both models predict the same, the interval is Wilson's of a share that never
    occurred in so many pictures.

    Args:
        parts: For each part, the new model's score minus the old one's of each picture, float64 `(n,)` in [-1, 1].
        bootstrap: The resamples; each part is resampled by itself.

    Returns:
        value, low, high.
    """
    value = float(np.mean([part.mean() for part in parts]))
    means = [replace(bootstrap, seed=bootstrap.seed + number).means(part) for number, part in enumerate(parts)]
    low, high = np.quantile(np.mean(means, axis=0), QUANTILES)
    if np.isclose(low, high):
        reach = np.mean([wilson(0, len(part))[1] for part in parts])
        low, high = max(-1.0, value - reach), min(1.0, value + reach)
    return {name: round(number, 12) + 0.0 for name, number in metric(value, low, high).items()}


def mcnemar(lost: int, won: int) -> float:
    """The p-value of McNemar's exact test: that chance alone splits `lost` + `won` flips so unevenly, or more so."""
    from scipy.stats import binomtest

    return float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
