"""Selective prediction: how many pictures are left undecided, and how accurate the decided ones are."""

from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.model.decision import REASONS, SURE, UNSURE
from artdetect.pictures.labels import AI, CLASSES
from artdetect.stats.bootstrap import Bootstrap, last_of_ties
from artdetect.stats.confidence_intervals import share_interval, wilson
from artdetect.stats.verdict_measures import verdict_measures

if TYPE_CHECKING:
    import pandas as pd

POINTS = 20  # of the risk-coverage curve


def abstention(predictions: "pd.DataFrame") -> dict[str, Any]:
    """Count the unsure pictures, and compute the accuracy of the other verdicts, None if there are none."""
    decided = predictions[predictions.verdict != UNSURE]
    unsure = len(predictions) - len(decided)
    right = int((decided.verdict == decided.label).sum())
    return {
        "pictures": unsure,
        "share": share_interval(unsure, len(predictions)),
        "accuracy_decided": share_interval(right, len(decided)) if len(decided) else None,
    }


def verdicts(predictions: "pd.DataFrame", bootstrap: Bootstrap) -> dict[str, Any]:
    """The measures that training reports for held-out pictures, and why pictures are unsure.

    Args:
        predictions: label, p_ai, verdict, reason; both classes are present.
        bootstrap: Its seed is that of the intervals, which are over pictures.

    Returns:
        pictures; the measures of `verdict_measures`; reasons, the number of unsure pictures by their reason.
    """
    truth, pictures = (predictions.label == CLASSES[AI]).to_numpy(), np.arange(len(predictions))
    p_ai, weights = predictions.p_ai.to_numpy(np.float64), np.ones(len(predictions))
    counts = predictions.reason.value_counts()
    return {
        "pictures": len(predictions),
        **verdict_measures(truth, p_ai, predictions.verdict.to_numpy(), weights, pictures, bootstrap.seed),
        "reasons": {reason: int(counts.get(reason, 0)) for reason in REASONS if reason != SURE},
    }


def risk_coverage(truth: np.ndarray, right: np.ndarray, confidence: np.ndarray, bootstrap: Bootstrap) -> dict[str, Any]:
    """The accuracy of the most confident pictures at `POINTS` coverages, and the area under the risk-coverage curve.

    Ties are averaged over all orders. Source: Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks"
    (2017).

    Args:
        truth: bool `(N,)`, True for AI.
        right: bool `(N,)`, True where the prediction is right.
        confidence: float64 `(N,)`, for example `threshold_distance`.
        bootstrap: The resamples behind the interval.

    Returns:
        "risk_coverage": a row per point: coverage, accuracy, low, high. "aurc": the mean error rate over all coverages,
        0 at best; where the bootstrap's interval has no width, it has Wilson's interval of the error rate.
    """
    pictures = len(confidence)
    order = np.argsort(-confidence, kind="stable")
    last = last_of_ties(confidence[order])
    wrong = (~right)[order]
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, pictures + 1))])

    def statistics(counts: np.ndarray) -> dict[str, np.ndarray]:
        """Sum (errors before + rate * (k - a)) / k over k in a run of ties from a to b, in closed form."""
        counts = counts[:, order]
        covered = np.cumsum(counts, axis=1)[:, last]
        errors = np.cumsum(counts * wrong, axis=1)[:, last]
        added, added_errors = np.diff(covered, prepend=0), np.diff(errors, prepend=0)
        before = errors - added_errors - added_errors / np.maximum(added, 1) * (covered - added)
        areas = added_errors + before * (harmonic[covered] - harmonic[covered - added])
        return {"aurc": areas.sum(axis=1) / pictures}

    aurc = bootstrap.intervals(statistics, truth)["aurc"]
    if aurc["low"] == aurc["high"]:
        aurc = share_interval(aurc["value"] * pictures, pictures)
    covered = np.unique(np.ceil(np.arange(1, POINTS + 1) / POINTS * pictures).astype(np.int64))
    ends = np.concatenate([[0], last + 1])
    hits = np.interp(covered, ends, np.concatenate([[0], np.cumsum(~wrong)[last]]))
    points = []
    for covered_pictures, right_pictures in zip(covered.tolist(), hits.tolist(), strict=True):
        low, high = wilson(right_pictures, covered_pictures)
        point = {"coverage": covered_pictures / pictures, "accuracy": right_pictures / covered_pictures}
        points.append(point | {"low": low, "high": high})
    return {"risk_coverage": points, "aurc": aurc}
