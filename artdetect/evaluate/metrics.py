"""Metrics of a two-class detector with their 95 % intervals. AI is the positive class."""

from typing import TYPE_CHECKING, Any

from artdetect.intervals import CONFIDENCE, of_auc, wilson
from artdetect.labels import CLASSES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def summary(predictions: "pd.DataFrame", resamples: int, seed: int) -> dict[str, Any]:
    """All metrics of a table with columns label, style, generator, p_ai, verdict.

    Whole-set metrics have bootstrap percentile intervals over pictures, drawn within each class; shares of a group
    have Wilson's, which hold for a handful of pictures too. So have the accuracies where each class was called all
    right or all wrong, and ROC-AUC and average precision where all AI pictures stand before, or after, all human ones:
    a bootstrap has no width then.
    """
    import numpy as np

    truth = (predictions.label == "AI").to_numpy()
    p_ai = predictions.p_ai.to_numpy()
    called_ai = (predictions.verdict == "AI").to_numpy()
    result: dict[str, Any] = {"pictures": len(predictions), "confidence": CONFIDENCE, "resamples": resamples}
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(truth), np.flatnonzero(~truth)]
    drawn = []
    for _ in range(resamples):
        rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
        drawn.append(_scores(truth[rows], p_ai[rows], called_ai[rows]))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    for name, value in _scores(truth, p_ai, called_ai).items():
        low, high = np.quantile([scores[name] for scores in drawn], tails) if drawn else (value, value)
        result[name] = {"value": float(value), "low": float(low), "high": float(high)}
    right = called_ai == truth
    if all(right[group].all() or not right[group].any() for group in groups):
        parts = [wilson(int(right[group].sum()), len(group)) for group in groups]
        result["accuracy"] |= dict(zip(("low", "high"), wilson(int(right.sum()), len(right)), strict=True))
        result["balanced_accuracy"] |= dict(zip(("low", "high"), np.mean(parts, axis=0).tolist(), strict=True))
    for name in ("roc_auc", "average_precision"):
        if (value := round(result[name]["value"], 12)) in (0.0, 1.0):  # a sum of shares may miss 1 by its rounding
            low, high = of_auc(value, *map(len, groups))
            result[name] |= {"low": low, "high": high}
    return result | {
        "classes": _per_class(predictions),
        "confusion": [[_count(predictions, label, verdict) for verdict in CLASSES] for label in CLASSES],
        "by_generator": [_group(rows, "generator", name) for name, rows in predictions.groupby("generator")],
        "by_style": [_group(rows, "style", name) for name, rows in predictions.groupby("style")],
    }


def _scores(truth: "np.ndarray", p_ai: "np.ndarray", called_ai: "np.ndarray") -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    right = called_ai == truth
    return {
        "accuracy": right.mean(),
        "balanced_accuracy": (right[truth].mean() + right[~truth].mean()) / 2,
        "roc_auc": roc_auc_score(truth, p_ai),
        "average_precision": average_precision_score(truth, p_ai),
    }


def _per_class(predictions: "pd.DataFrame") -> dict[str, dict[str, float]]:
    """The classification report: precision, recall, F1 and support of each class."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        predictions.label, predictions.verdict, labels=list(CLASSES), zero_division=0.0
    )
    return {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "pictures": int(n)}
        for label, p, r, f, n in zip(CLASSES, *columns, strict=True)
    }


def _count(predictions: "pd.DataFrame", label: str, verdict: str) -> int:
    return int(((predictions.label == label) & (predictions.verdict == verdict)).sum())


def _group(rows: "pd.DataFrame", column: str, name: str) -> dict[str, Any]:
    """Accuracy within one style or generator. For a generator, which has one class, that is its recall."""
    right = int((rows.label == rows.verdict).sum())
    low, high = wilson(right, len(rows))
    return {
        column: name,
        "label": " + ".join(sorted(set(rows.label))),
        "pictures": len(rows),
        "accuracy": {"value": right / len(rows), "low": low, "high": high},
        "mean_p_ai": float(rows.p_ai.mean()),
    }
