"""Calibration: whether eight in ten of the pictures with p(AI) = 0.8 are AI.

Both classes have the same weight here, however many pictures each has, because p(AI) is the probability for equally
frequent classes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.log_loss import log_losses

BINS = 15  # of equal width. Source: Guo et al., "On Calibration of Modern Neural Networks" (2017)


def calibration(truth: np.ndarray, p_ai: np.ndarray, bootstrap: Bootstrap) -> dict[str, Any]:
    """How good the probabilities are, with bootstrap intervals.

    Args:
        truth: bool `(N,)`, True for AI; both classes are present.
        p_ai: float64 `(N,)` in [0, 1].
        bootstrap: The resamples behind the intervals.

    Returns:
        "ece": the expected calibration error, the mean distance between p(AI) and the share of AI in its bin. By chance
        it is above 0 for a perfectly calibrated model, too; its resamples are centred on the value.
        "brier": the mean squared error.
        "log_loss": the mean cross-entropy in nats; 0 and 1 count as one rounding error off.
        "bins": a row for each bin with pictures: low, high, pictures, mean_p, share_ai. A bin holds
        low <= p(AI) < high, the last one also 1.
    """
    weights = _weights(truth)
    bins = _bins(p_ai)
    ece = expected_calibration_error(truth, p_ai)
    squares = weights * (p_ai - truth) ** 2
    losses = weights * log_losses(truth, p_ai)

    def statistics(counts: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "ece": ece(counts),
            "brier": np.einsum("bn,n->b", counts, squares),
            "log_loss": np.einsum("bn,n->b", counts, losses),
        }

    rows = []
    for bin in np.unique(bins):
        inside = bins == bin
        rows.append(
            {
                "low": float(bin / BINS),
                "high": float((bin + 1) / BINS),
                "pictures": int(inside.sum()),
                "mean_p": float(np.average(p_ai[inside], weights=weights[inside])),
                "share_ai": float(np.average(truth[inside], weights=weights[inside])),
            }
        )
    return bootstrap.intervals(statistics, truth, centred=("ece",)) | {"bins": rows}


def expected_calibration_error(truth: np.ndarray, p_ai: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Prepare a function that computes the ECE, float64 `(B,)`, of counts `(B, N)` that sum to the size of each class.

    Args:
        truth: bool `(N,)`, True for AI; both classes are present.
        p_ai: float64 `(N,)` in [0, 1].
    """
    bins = _bins(p_ai)
    order = np.argsort(bins, kind="stable")
    _, starts = np.unique(bins[order], return_index=True)
    gap = (_weights(truth) * (p_ai - truth))[order]
    return lambda counts: np.abs(np.add.reduceat(counts[:, order] * gap, starts, axis=1)).sum(axis=1)


def _weights(truth: np.ndarray) -> np.ndarray:
    """The weight of each picture, so that each class weighs one half."""
    return 1 / (2 * np.where(truth, truth.sum(), (~truth).sum()))


def _bins(p_ai: np.ndarray) -> np.ndarray:
    return np.minimum((p_ai * BINS).astype(np.int64), BINS - 1)
