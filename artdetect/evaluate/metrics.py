"""Metrics of a two-class detector with their 95 % intervals. AI is the positive class."""

from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.evaluate.calibration import calibration
from artdetect.evaluate.selective_prediction import abstention, risk_coverage
from artdetect.evaluate.subgroups import accuracy_by
from artdetect.model.decision import threshold_distance
from artdetect.pictures.labels import AI, CLASSES
from artdetect.stats.bootstrap import Bootstrap, Ranking, average_precision, roc_auc, tpr_at
from artdetect.stats.confidence_intervals import CONFIDENCE, auc_interval, metric, share_interval, wilson

if TYPE_CHECKING:
    import pandas as pd

FALSE_POSITIVE_RATES = (0.01, 0.05)


def summary(predictions: "pd.DataFrame", bootstrap: Bootstrap, threshold: float = 0.5) -> dict[str, Any]:
    """Compute all metrics of a table of predictions.

    Metrics of the whole set have percentile intervals of a bootstrap over pictures, stratified by class, with the same
    resamples for all. Shares of a group have Wilson's intervals, which also hold for a handful of pictures.

    Args:
        predictions: label, style, generator, p_ai, predicted, verdict; both classes are present.
        bootstrap: The resamples behind the intervals.
        threshold: The p(AI) from which on pictures were predicted as AI.
    """
    truth = (predictions.label == CLASSES[AI]).to_numpy()
    p_ai = predictions.p_ai.to_numpy(np.float64)
    predicted_ai = (predictions.predicted == CLASSES[AI]).to_numpy()
    return {
        "pictures": len(predictions),
        "confidence": CONFIDENCE,
        "resamples": bootstrap.resamples,
        **headline(truth, p_ai, predicted_ai, bootstrap),
        "tpr_at_fpr": _tpr_at_rates(truth, p_ai, bootstrap),
        "unsure": abstention(predictions),
        "calibration": calibration(truth, p_ai, bootstrap),
        **risk_coverage(truth, predicted_ai == truth, threshold_distance(p_ai, threshold), bootstrap),
        "classes": _per_class(predictions),
        "confusion": [[_count(predictions, label, predicted) for predicted in CLASSES] for label in CLASSES],
        "by_generator": accuracy_by(predictions, "generator"),
        "by_style": accuracy_by(predictions, "style"),
    }


def headline(
    truth: np.ndarray, p_ai: np.ndarray, predicted_ai: np.ndarray, bootstrap: Bootstrap
) -> dict[str, dict[str, float]]:
    """Accuracy, balanced accuracy, ROC-AUC and average precision.

    Where the bootstrap's intervals have no width, Wilson's replace them: for the accuracies where each class is all
    right or all wrong; for ROC-AUC and average precision where all AI pictures rank before, or after, all human ones.

    Args:
        truth: bool `(N,)`, True for AI; both classes are present.
        p_ai: float64 `(N,)`.
        predicted_ai: bool `(N,)`, True where the model predicts AI.
        bootstrap: The resamples behind the intervals.

    Returns:
        Name -> value, low, high.
    """
    ranking = Ranking(truth, p_ai)
    right = predicted_ai == truth
    hits = np.stack([right & truth, right & ~truth], axis=1).astype(np.int64)
    classes = np.array([truth.sum(), (~truth).sum()])

    def statistics(counts: np.ndarray) -> dict[str, np.ndarray]:
        hit = counts @ hits  # (B, 2): AI, human
        curve = ranking.curve(counts)
        return {
            "accuracy": hit.sum(axis=1) / classes.sum(),
            "balanced_accuracy": (hit / classes).mean(axis=1),
            "roc_auc": roc_auc(*curve),
            "average_precision": average_precision(*curve),
        }

    result = bootstrap.intervals(statistics, truth)
    hit = hits.sum(axis=0)
    if ((hit == 0) | (hit == classes)).all():
        result["accuracy"] = share_interval(int(hit.sum()), int(classes.sum()))
        parts = [wilson(int(right), int(pictures)) for right, pictures in zip(hit, classes, strict=True)]
        result["balanced_accuracy"] = metric(result["balanced_accuracy"]["value"], *np.mean(parts, axis=0))
    for name in ("roc_auc", "average_precision"):
        if (value := round(result[name]["value"], 12)) in (0.0, 1.0):  # a sum of shares may miss 1 by its rounding
            result[name] = metric(value, *auc_interval(value, *classes.tolist()))
    return result


def _tpr_at_rates(truth: np.ndarray, p_ai: np.ndarray, bootstrap: Bootstrap) -> list[dict[str, Any]]:
    """The true positive rate at low false positive rates; with fewer than 1 / rate human pictures no false positive."""
    ranking = Ranking(truth, p_ai)

    def statistics(counts: np.ndarray) -> dict[str, np.ndarray]:
        curve = ranking.curve(counts)
        return {str(rate): tpr_at(*curve, rate) for rate in FALSE_POSITIVE_RATES}

    result = bootstrap.intervals(statistics, truth)
    rows = []
    for rate in FALSE_POSITIVE_RATES:
        tpr = result[str(rate)]
        if tpr["low"] == tpr["high"]:
            tpr = metric(tpr["value"], *auc_interval(tpr["value"], int(truth.sum()), int((~truth).sum())))
        rows.append({"fpr": rate, "tpr": tpr})
    return rows


def _per_class(predictions: "pd.DataFrame") -> dict[str, dict[str, float]]:
    """The classification report: precision, recall, F1 and support of each class."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        predictions.label, predictions.predicted, labels=list(CLASSES), zero_division=0.0
    )
    return {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "pictures": int(n)}
        for label, p, r, f, n in zip(CLASSES, *columns, strict=True)
    }


def _count(predictions: "pd.DataFrame", label: str, predicted: str) -> int:
    return int(((predictions.label == label) & (predictions.predicted == predicted)).sum())
