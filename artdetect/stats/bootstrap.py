"""The bootstrap behind the intervals: a resample is how often each picture is drawn, so pictures are ranked only once.

Truth is bool `(N,)`, True for AI. Counts are int64 `(B, N)`: how often each picture is drawn in each of B resamples.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from artdetect.stats.confidence_intervals import CONFIDENCE, metric

BLOCK = 2**18  # counts in memory at a time: as many as processor caches hold
QUANTILES = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)

Statistics = Callable[[np.ndarray], Mapping[str, np.ndarray]]  # counts (B, N) -> name -> values (B,)


def draws(truth: np.ndarray, resamples: int, seed: int, at_once: int | None = None) -> Iterator[np.ndarray]:
    """Counts of all resamples, some at a time: pictures drawn within each class, so that each keeps its number.

    How many at a time shapes what is drawn.
    """
    rng = np.random.default_rng(seed)
    classes = [members for members in (np.flatnonzero(truth), np.flatnonzero(~truth)) if len(members)]
    block = at_once or max(1, BLOCK // len(truth))
    for start in range(0, resamples, block):
        shape = (min(block, resamples - start), len(truth))
        counts = np.empty(shape, np.int64)
        for members in classes:
            drawn = rng.integers(0, len(members), (shape[0], len(members)))
            drawn += len(members) * np.arange(shape[0])[:, None]
            counts[:, members] = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        yield counts


def intervals(
    statistics: Statistics, truth: np.ndarray, resamples: int, seed: int, centred: Collection[str] = ()
) -> dict[str, dict[str, float]]:
    """Name -> value, low, high: each statistic with its percentile interval.

    Those named in `centred` are biased: chance alone adds to them, once in the pictures and again in each resample. The
    second part is taken off, so that the resamples lie around the value.
    """
    values = statistics(np.ones((1, len(truth)), np.int64))
    blocks = [statistics(counts) for counts in draws(truth, resamples, seed)]
    found = {}
    for name, (value,) in values.items():
        drawn = np.concatenate([block[name] for block in blocks])
        if name in centred:
            drawn = np.maximum(drawn - drawn.mean() + value, 0)
        found[name] = metric(value, *np.quantile(drawn, QUANTILES))
    return found


class Ranking:
    """Pictures from the highest score to the lowest; equal scores share a threshold."""

    def __init__(self, truth: np.ndarray, score: np.ndarray):
        self._order = np.argsort(-score, kind="stable")
        self._truth = truth[self._order]
        self._last = last_of_ties(score[self._order])

    def curve(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many AI and how many human pictures reach each of L thresholds, highest first: two int64 `(B, L)`."""
        counts = counts[:, self._order]
        called = np.cumsum(counts, axis=1)[:, self._last]
        ai = np.cumsum(counts * self._truth, axis=1)[:, self._last]
        return ai, called - ai


def last_of_ties(ordered: np.ndarray) -> np.ndarray:
    """The positions at which a run of equal values ends, in values that are in order."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))


def roc_auc(ai: np.ndarray, human: np.ndarray) -> np.ndarray:
    """The area under the ROC curve, float64 `(B,)`: how often an AI picture scores above a human one, a tie half."""
    above = ai - np.diff(ai, prepend=0) / 2
    return (np.diff(human, prepend=0) * above).sum(axis=1) / (ai[:, -1] * human[:, -1])


def average_precision(ai: np.ndarray, human: np.ndarray) -> np.ndarray:
    """The precision at each threshold, weighted by the recall that it adds: float64 `(B,)`."""
    return (np.diff(ai, prepend=0) * ai / np.maximum(ai + human, 1)).sum(axis=1) / ai[:, -1]


def tpr_at(ai: np.ndarray, human: np.ndarray, fpr: float) -> np.ndarray:
    """The share of AI pictures above the lowest threshold that at most `fpr` of human ones reach: float64 `(B,)`."""
    thresholds = (human / human[:, -1:] <= fpr).sum(axis=1)
    above = np.pad(ai, ((0, 0), (1, 0)))  # above all scores: no picture
    return above[np.arange(len(ai)), thresholds] / ai[:, -1]
