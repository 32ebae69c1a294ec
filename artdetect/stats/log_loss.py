"""The log loss of probabilities, with one rule for probabilities of exactly 0 and 1."""

import numpy as np

EPSILON = float(np.finfo(np.float64).eps)  # 0 and 1 count as this far off, as in scikit-learn's `log_loss`


def log_losses(truth: np.ndarray, p_ai: np.ndarray) -> np.ndarray:
    """The cross-entropy of each picture, in nats.

    Args:
        truth: bool `(N,)`, True for AI.
        p_ai: The probability of AI, float `(N,)` in [0, 1].

    Returns:
        float64 `(N,)`, finite. Its mean is the log loss.
    """
    p_true = np.where(truth, p_ai, 1 - np.asarray(p_ai, np.float64))
    return -np.log(np.clip(p_true, EPSILON, 1 - EPSILON))
