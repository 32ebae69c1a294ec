"""The stratified bootstrap behind the intervals.

A resample is stored as counts: how often each picture was drawn. Pictures are therefore sorted once, and not again for
each resample. Throughout, `truth` is bool `(N,)`, True for AI, and `counts` is int64 `(B, N)` for B resamples.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from artdetect.stats.confidence_intervals import CONFIDENCE, metric

BLOCK = 2**18  # counts in memory at a time: about what a processor's cache holds
MEAN_RESAMPLES = 2000  # of `mean_interval`
QUANTILES = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)

Statistics = Callable[[np.ndarray], Mapping[str, np.ndarray]]  # counts (B, N) -> name -> values (B,)


@dataclass(frozen=True)
class Bootstrap:
    """A number of resamples and the seed they are drawn with. The same pictures always get the same resamples."""

    resamples: int
    seed: int

    def counts(self, truth: np.ndarray, block: int | None = None) -> Iterator[np.ndarray]:
        """Yield the counts of all resamples in blocks. Each class is resampled by itself, so its size is constant.

        Args:
            truth: The pictures' classes.
            block: Resamples per block; None for as many as fit `BLOCK`. It changes which pictures are drawn.
        """
        rng = np.random.default_rng(self.seed)
        classes = [members for members in (np.flatnonzero(truth), np.flatnonzero(~truth)) if len(members)]
        block = block or max(1, BLOCK // len(truth))
        for start in range(0, self.resamples, block):
            shape = (min(block, self.resamples - start), len(truth))
            counts = np.empty(shape, np.int64)
            for members in classes:
                draws = rng.integers(0, len(members), (shape[0], len(members)))
                draws += len(members) * np.arange(shape[0])[:, None]
                counts[:, members] = np.bincount(draws.ravel(), minlength=draws.size).reshape(draws.shape)
            yield counts

    def means(self, values: np.ndarray) -> np.ndarray:
        """The mean of the values `(N,)` in each resample of them, float64 `(B,)`."""
        counts = self.counts(np.ones(len(values), bool))
        return np.concatenate([block @ values for block in counts]) / len(values)

    def intervals(
        self, statistics: Statistics, truth: np.ndarray, centred: Collection[str] = ()
    ) -> dict[str, dict[str, float]]:
        """Compute each statistic with its percentile interval.

        Args:
            statistics: Computes named statistics of counts.
            truth: The pictures' classes.
            centred: Names of biased statistics: chance adds to them, once in the pictures and again in each resample.
                The second part is subtracted, so that the resamples lie around the value.

        Returns:
            Name -> value, low, high.
        """
        values = statistics(np.ones((1, len(truth)), np.int64))
        blocks = [statistics(counts) for counts in self.counts(truth)]
        result = {}
        for name, (value,) in values.items():
            resampled = np.concatenate([block[name] for block in blocks])
            if name in centred:
                resampled = np.maximum(resampled - resampled.mean() + value, 0)
            result[name] = metric(value, *np.quantile(resampled, QUANTILES))
        return result


def mean_interval(
    values: Sequence[float] | np.ndarray, seed: int, low_bound: float = 0, high_bound: float = 1
) -> dict[str, float | None] | None:
    """The mean of some values with its 95 % interval, the wider of the percentile bootstrap's and Student's.

    The bootstrap alone is too narrow for a handful of pictures.

    Args:
        values: In [`low_bound`, `high_bound`]; NaN is left out.
        seed: Seed of the bootstrap.
        low_bound: The lowest possible value.
        high_bound: The highest possible value.

    Returns:
        `value`, `low` and `high`; low and high are None for one value, and the whole is None where all are NaN.
    """
    from scipy.special import stdtrit

    finite = np.array(values)[np.isfinite(values)]
    if len(finite) < 2:
        return {"value": float(finite[0]), "low": None, "high": None} if len(finite) else None
    percentiles = Bootstrap(MEAN_RESAMPLES, seed).intervals(
        lambda counts: {"mean": counts @ finite / len(finite)}, np.zeros(len(finite), bool)
    )["mean"]
    reach = stdtrit(len(finite) - 1, (1 + CONFIDENCE) / 2) * finite.std(ddof=1) / np.sqrt(len(finite))
    low, high = min(percentiles["low"], finite.mean() - reach), max(percentiles["high"], finite.mean() + reach)
    return {"value": float(finite.mean()), "low": float(max(low, low_bound)), "high": float(min(high, high_bound))}


class Ranking:
    """Pictures in descending order of their score. Equal scores share a threshold."""

    def __init__(self, truth: np.ndarray, score: np.ndarray):
        self._order = np.argsort(-score, kind="stable")
        self._truth = truth[self._order]
        self._last = last_of_ties(score[self._order])

    def curve(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many AI and how many human pictures reach each of L thresholds, highest first: two int64 `(B, L)`."""
        counts = counts[:, self._order]
        above = np.cumsum(counts, axis=1)[:, self._last]
        ai = np.cumsum(counts * self._truth, axis=1)[:, self._last]
        return ai, above - ai


def last_of_ties(ordered: np.ndarray) -> np.ndarray:
    """The positions at which a run of equal values ends, for values in ascending or descending order."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))


def roc_auc(ai: np.ndarray, human: np.ndarray) -> np.ndarray:
    """The area under the ROC curve, float64 `(B,)`: how often an AI picture scores above a human one, a tie half.

    Its arguments are those of the other statistics here: the two results of `Ranking.curve`.
    """
    above = ai - np.diff(ai, prepend=0) / 2
    return (np.diff(human, prepend=0) * above).sum(axis=1) / (ai[:, -1] * human[:, -1])


def average_precision(ai: np.ndarray, human: np.ndarray) -> np.ndarray:
    """The precision at each threshold, weighted by the recall that it adds: float64 `(B,)`."""
    return (np.diff(ai, prepend=0) * ai / np.maximum(ai + human, 1)).sum(axis=1) / ai[:, -1]


def tpr_at(ai: np.ndarray, human: np.ndarray, fpr: float) -> np.ndarray:
    """The true positive rate at a false positive rate, in each resample.

    It is the share of AI pictures that reach the lowest threshold that at most a share `fpr` of human ones reach.

    Args:
        ai: How many AI pictures reach each threshold, int64 `(B, L)`, from `Ranking.curve`.
        human: How many human pictures reach each threshold, int64 `(B, L)`, from `Ranking.curve`.
        fpr: The largest allowed false positive rate, in [0, 1].

    Returns:
        float64 `(B,)`; 0 where every threshold is reached by too many human pictures.
    """
    thresholds = (human / human[:, -1:] <= fpr).sum(axis=1)
    reached = np.pad(ai, ((0, 0), (1, 0)))  # above all scores there is no picture
    return reached[np.arange(len(ai)), thresholds] / ai[:, -1]
