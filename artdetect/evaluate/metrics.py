"""Metrics of a two-class detector with their 95 % intervals. AI is the positive class."""

from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.evaluate.calibration import calibration
from artdetect.evaluate.selective_prediction import abstention, risk_coverage, threshold_distance
from artdetect.evaluate.subgroups import accuracy_by
from artdetect.pictures.labels import AI, CLASSES
from artdetect.stats.bootstrap import Ranking, average_precision, intervals, roc_auc, tpr_at
from artdetect.stats.confidence_intervals import CONFIDENCE, auc_interval, metric, share_interval, wilson

if TYPE_CHECKING:
    import pandas as pd

FALSE_POSITIVE_RATES = (0.01, 0.05)


def summary(predictions: "pd.DataFrame", resamples: int, seed: int, threshold: float = 0.5) -> dict[str, Any]:
    """All metrics of a table with columns label, style, generator, p_ai, called, verdict; both classes are there.

    Whole-set metrics have bootstrap percentile intervals over pictures, drawn within each class, the same draws for
    all; shares of a group have Wilson's, which hold for a handful of pictures too. `threshold` is the p(AI) from which
    pictures were called AI.
    """
    truth = (predictions.label == CLASSES[AI]).to_numpy()
    p_ai = predictions.p_ai.to_numpy(np.float64)
    called_ai = (predictions.called == CLASSES[AI]).to_numpy()
    drawn = resamples, seed
    return {
        "pictures": len(predictions),
        "confidence": CONFIDENCE,
        "resamples": resamples,
        **headline(truth, p_ai, called_ai, *drawn),
        "tpr_at_fpr": _at_rates(truth, p_ai, *drawn),
        "unsure": abstention(predictions),
        "calibration": calibration(truth, p_ai, *drawn),
        **risk_coverage(truth, called_ai == truth, threshold_distance(p_ai, threshold), *drawn),
        "classes": _per_class(predictions),
        "confusion": [[_count(predictions, label, called) for called in CLASSES] for label in CLASSES],
        "by_generator": accuracy_by(predictions, "generator"),
        "by_style": accuracy_by(predictions, "style"),
    }


def headline(
    truth: np.ndarray, p_ai: np.ndarray, called_ai: np.ndarray, resamples: int, seed: int
) -> dict[str, dict[str, float]]:
    """Accuracy, balanced accuracy, ROC-AUC and average precision; arguments `(N,)`, True for AI, both classes there.

    Wilson's intervals stand for the bootstrap's where those have no width: of the accuracies where each class was
    called all right or all wrong, of ROC-AUC and average precision where all AI pictures stand before, or after, all
    human ones.
    """
    ranking = Ranking(truth, p_ai)
    right = called_ai == truth
    hits = np.stack([right & truth, right & ~truth], axis=1).astype(np.int64)
    classes = np.array([truth.sum(), (~truth).sum()])

    def statistics(counts: np.ndarray) -> dict[str, np.ndarray]:
        hit = counts @ hits  # (B, 2): of AI, of human
        curve = ranking.curve(counts)
        return {
            "accuracy": hit.sum(axis=1) / classes.sum(),
            "balanced_accuracy": (hit / classes).mean(axis=1),
            "roc_auc": roc_auc(*curve),
            "average_precision": average_precision(*curve),
        }

    found = intervals(statistics, truth, resamples, seed)
    hit = hits.sum(axis=0)
    if ((hit == 0) | (hit == classes)).all():
        found["accuracy"] = share_interval(int(hit.sum()), int(classes.sum()))
        parts = [wilson(int(right), int(pictures)) for right, pictures in zip(hit, classes, strict=True)]
        found["balanced_accuracy"] = metric(found["balanced_accuracy"]["value"], *np.mean(parts, axis=0))
    for name in ("roc_auc", "average_precision"):
        if (value := round(found[name]["value"], 12)) in (0.0, 1.0):  # a sum of shares may miss 1 by its rounding
            found[name] = metric(value, *auc_interval(value, *classes.tolist()))
    return found


def _at_rates(truth: np.ndarray, p_ai: np.ndarray, resamples: int, seed: int) -> list[dict[str, Any]]:
    """The true positive rate at thresholds that few human pictures reach; below 1 / rate human pictures, none."""
    ranking = Ranking(truth, p_ai)

    def statistics(counts: np.ndarray) -> dict[str, np.ndarray]:
        curve = ranking.curve(counts)
        return {str(rate): tpr_at(*curve, rate) for rate in FALSE_POSITIVE_RATES}

    found = intervals(statistics, truth, resamples, seed)
    rows = []
    for rate in FALSE_POSITIVE_RATES:
        tpr = found[str(rate)]
        if tpr["low"] == tpr["high"]:
            tpr = metric(tpr["value"], *auc_interval(tpr["value"], int(truth.sum()), int((~truth).sum())))
        rows.append({"fpr": rate, "tpr": tpr})
    return rows


def _per_class(predictions: "pd.DataFrame") -> dict[str, dict[str, float]]:
    """The classification report: precision, recall, F1 and support of each class."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        predictions.label, predictions.called, labels=list(CLASSES), zero_division=0.0
    )
    return {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "pictures": int(n)}
        for label, p, r, f, n in zip(CLASSES, *columns, strict=True)
    }


def _count(predictions: "pd.DataFrame", label: str, called: str) -> int:
    return int(((predictions.label == label) & (predictions.called == called)).sum())
