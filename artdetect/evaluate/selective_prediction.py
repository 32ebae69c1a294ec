"""Selective prediction: what is left undecided, and how right the rest is, be it decided by the rule or by sureness."""

from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.model.decision import UNSURE, logit
from artdetect.stats.bootstrap import intervals, last_of_ties
from artdetect.stats.confidence_intervals import share_interval, wilson

if TYPE_CHECKING:
    import pandas as pd

POINTS = 20  # of the risk-coverage curve


def abstention(predictions: "pd.DataFrame") -> dict[str, Any]:
    """The pictures without a verdict and the accuracy of the verdicts given, None if there are none."""
    decided = predictions[predictions.verdict != UNSURE]
    left = len(predictions) - len(decided)
    right = int((decided.verdict == decided.label).sum())
    return {
        "pictures": left,
        "share": share_interval(left, len(predictions)),
        "accuracy_decided": share_interval(right, len(decided)) if len(decided) else None,
    }


def threshold_distance(p_ai: np.ndarray, threshold: float) -> np.ndarray:
    """How far p(AI) is from the threshold, in logits: float64 `(N,)`."""
    return np.abs(logit(p_ai) - logit(np.array(threshold)))


def risk_coverage(truth: np.ndarray, right: np.ndarray, sure: np.ndarray, resamples: int, seed: int) -> dict[str, Any]:
    """The accuracy of the surest share of pictures, from `POINTS` shares, and the area under the risk-coverage curve.

    Equally sure pictures come in every order at once. `aurc` is the mean error rate over all coverages, 0 at best;
    where nothing is wrong its interval is Wilson's of the error rate. Source: Geifman and El-Yaniv, "Selective
    Classification for Deep Neural Networks" (2017).

    Args:
        truth: bool `(N,)`, True for AI. right: bool `(N,)`. sure: `(N,)`, see `sureness`.
    """
    pictures = len(sure)
    order = np.argsort(-sure, kind="stable")
    last = last_of_ties(sure[order])
    wrong = (~right)[order]
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, pictures + 1))])

    def statistics(counts: np.ndarray) -> dict[str, np.ndarray]:
        """The sum over k in a run of ties from a to b of (errors before + rate * (k - a)) / k, in closed form."""
        counts = counts[:, order]
        covered = np.cumsum(counts, axis=1)[:, last]
        errors = np.cumsum(counts * wrong, axis=1)[:, last]
        more, more_errors = np.diff(covered, prepend=0), np.diff(errors, prepend=0)
        before = errors - more_errors - more_errors / np.maximum(more, 1) * (covered - more)
        return {"aurc": (more_errors + before * (harmonic[covered] - harmonic[covered - more])).sum(axis=1) / pictures}

    aurc = intervals(statistics, truth, resamples, seed)["aurc"]
    if aurc["low"] == aurc["high"]:
        aurc = share_interval(aurc["value"] * pictures, pictures)
    covered = np.unique(np.ceil(np.arange(1, POINTS + 1) / POINTS * pictures).astype(np.int64))
    ends = np.concatenate([[0], last + 1])
    right_of = np.interp(covered, ends, np.concatenate([[0], np.cumsum(~wrong)[last]]))
    points = []
    for pictures_covered, hits in zip(covered.tolist(), right_of.tolist(), strict=True):
        low, high = wilson(hits, pictures_covered)
        share = {"coverage": pictures_covered / pictures, "accuracy": hits / pictures_covered}
        points.append(share | {"low": low, "high": high})
    return {"risk_coverage": points, "aurc": aurc}
