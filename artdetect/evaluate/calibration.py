"""Calibration: whether of the pictures with p(AI) = 0.8 eight in ten are AI.

Both classes count the same here, however many pictures of each there are, because p(AI) is the probability where both
are as frequent.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from artdetect.stats.bootstrap import intervals

BINS = 15  # of equal width. Source: Guo et al., "On Calibration of Modern Neural Networks" (2017)


def calibration(truth: np.ndarray, p_ai: np.ndarray, resamples: int, seed: int) -> dict[str, Any]:
    """How good the probabilities p(AI) `(N,)` are, with bootstrap intervals; truth is True for AI, each class is there.

    Returns:
        "ece": expected calibration error, the mean distance between p(AI) and the share of AI in its bin. A
        perfectly calibrated model's is not 0 either, by chance; its resamples are centred on the value.
        "brier": mean squared error. "log_loss": mean cross-entropy in nats, where 0 and 1 count as one rounding error
        off. "bins": those with pictures, low <= p(AI) < high, the last one to 1: low, high, pictures, mean_p, share_ai.
    """
    weights = _weights(truth)
    number = _bins(p_ai)
    ece = expected_calibration_error(truth, p_ai)
    off = np.finfo(np.float64).eps
    squared = weights * (p_ai - truth) ** 2
    surprise = -weights * np.log(np.clip(np.where(truth, p_ai, 1 - p_ai), off, 1 - off))

    def statistics(counts: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "ece": ece(counts),
            "brier": np.einsum("bn,n->b", counts, squared),
            "log_loss": np.einsum("bn,n->b", counts, surprise),
        }

    rows = []
    for bin in np.unique(number):
        held = number == bin
        rows.append(
            {
                "low": float(bin / BINS),
                "high": float((bin + 1) / BINS),
                "pictures": int(held.sum()),
                "mean_p": float(np.average(p_ai[held], weights=weights[held])),
                "share_ai": float(np.average(truth[held], weights=weights[held])),
            }
        )
    return intervals(statistics, truth, resamples, seed, centred=("ece",)) | {"bins": rows}


def expected_calibration_error(truth: np.ndarray, p_ai: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What gives the ECE, float64 `(B,)`, of resamples, counts `(B, N)` that keep the number of each class."""
    number = _bins(p_ai)
    order = np.argsort(number, kind="stable")
    _, starts = np.unique(number[order], return_index=True)
    gap = (_weights(truth) * (p_ai - truth))[order]
    return lambda counts: np.abs(np.add.reduceat(counts[:, order] * gap, starts, axis=1)).sum(axis=1)


def _weights(truth: np.ndarray) -> np.ndarray:
    """What each picture counts, so that both classes count the same."""
    return 1 / (2 * np.where(truth, truth.sum(), (~truth).sum()))


def _bins(p_ai: np.ndarray) -> np.ndarray:
    return np.minimum((p_ai * BINS).astype(np.int64), BINS - 1)
