"""How good probabilities and verdicts are, with intervals that respect that pictures come in clusters."""

import numpy as np

from artdetect.stats.bootstrap import QUANTILES, last_of_ties, roc_auc
from artdetect.stats.confidence_intervals import metric, wilson
from artdetect.stats.log_loss import log_losses

BINS = 15  # of the calibration error, of equal width, as in `artdetect.evaluate.calibration`
RESAMPLES = 1000
BLOCK = 2**21  # weights in memory at a time


def verdict_measures(
    truth: np.ndarray, p_ai: np.ndarray, verdicts: np.ndarray, weights: np.ndarray, clusters: np.ndarray, seed: int
) -> dict[str, dict[str, float] | None]:
    """Measure a detector on N pictures, as if both classes were equally frequent.

    Args:
        truth: bool [N], True for AI; both classes are present.
        p_ai: float [N] in [0, 1].
        verdicts: str [N], "AI" or "human"; anything else is no verdict.
        weights: float [N], how much each picture counts within its class.
        clusters: The cluster of each picture, [N]. The bootstrap draws whole clusters, of each class by themselves:
            sources for intervals that hold for other sources, pictures for those of other pictures.
        seed: Seed of the bootstrap.

    Returns:
        roc_auc, balanced_accuracy (at a p(AI) of 0.5), log_loss, ece, firm (the share of pictures with a verdict),
        right_ai and right_human (the share of these verdicts that is right). Each with value, low and high; None where
        there is no such verdict. Where the bootstrap's interval of a share or of roc_auc has no width because all is
        right, or all wrong, it is Wilson's, as of so many pictures as there are clusters.
    """
    measured = _Measures(truth, p_ai, verdicts)
    values = measured(weights[None])
    _, cluster = np.unique(clusters, return_inverse=True)
    resampled: list[dict[str, np.ndarray]] = []
    rng = np.random.default_rng(seed)
    members = [np.unique(cluster[truth == is_ai]) for is_ai in (True, False)]
    block = max(1, BLOCK // len(truth))
    for start in range(0, RESAMPLES, block):
        size = min(block, RESAMPLES - start)
        counts = np.zeros((2, size, cluster.max() + 1))
        for drawn, ids in zip(counts, members, strict=True):
            for row in drawn:
                row += np.bincount(rng.choice(ids, len(ids)), minlength=len(row))
        drawn_weights = np.where(truth, counts[0][:, cluster], counts[1][:, cluster]) * weights
        resampled.append(measured(drawn_weights))
    result: dict[str, dict[str, float] | None] = {}
    for name, (value,) in values.items():
        samples = np.concatenate([part[name] for part in resampled])
        samples = samples[np.isfinite(samples)]
        if name == "ece" and samples.size:  # chance adds to it, once in the pictures and again in each resample
            samples = np.maximum(samples - samples.mean() + value, 0)
        result[name] = metric(value, *np.quantile(samples, QUANTILES)) if np.isfinite(value) and samples.size else None
    few = min(map(len, members))
    counts_of = {
        "roc_auc": few,
        "balanced_accuracy": few,
        "firm": cluster.max() + 1,
        "right_ai": len(set(cluster[verdicts == "AI"])),
        "right_human": len(set(cluster[verdicts == "human"])),
    }
    for name, number in counts_of.items():
        found = result[name]
        if found and (share := round(found["value"], 12)) in (0.0, 1.0):  # a sum of shares may miss 1 by its rounding
            result[name] = metric(share, *wilson(share * number, number))
    return result


class _Measures:
    """The measures for B vectors of weights `(B, N)`: name -> float64 `(B,)`, NaN where undefined."""

    def __init__(self, truth: np.ndarray, p_ai: np.ndarray, verdicts: np.ndarray):
        self.truth, self.verdicts = truth, verdicts
        self.p_ai = np.asarray(p_ai, np.float64)
        self.losses = log_losses(truth, p_ai)
        self.right = (self.p_ai >= 0.5) == truth
        self.order = np.argsort(-self.p_ai, kind="stable")
        self.last = last_of_ties(self.p_ai[self.order])
        bins = np.minimum((self.p_ai * BINS).astype(np.int64), BINS - 1)
        self.by_bin = np.argsort(bins, kind="stable")
        self.bin_starts = np.unique(bins[self.by_bin], return_index=True)[1]

    def __call__(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        shares = np.where(self.truth, *(_half(weights * side) for side in (self.truth, ~self.truth)))
        ranked = shares[:, self.order]
        truth = self.truth[self.order]
        above = np.cumsum(ranked * truth, axis=1)[:, self.last], np.cumsum(ranked * ~truth, axis=1)[:, self.last]
        gaps = (shares * (self.p_ai - self.truth))[:, self.by_bin]
        result = {
            "roc_auc": roc_auc(*above),
            "balanced_accuracy": shares @ self.right,
            "log_loss": shares @ self.losses,
            "ece": np.abs(np.add.reduceat(gaps, self.bin_starts, axis=1)).sum(axis=1),
            "firm": shares @ np.isin(self.verdicts, ("AI", "human")),
        }
        for name, verdict, right in (("right_ai", "AI", self.truth), ("right_human", "human", ~self.truth)):
            given = shares @ (self.verdicts == verdict)
            with np.errstate(invalid="ignore"):
                result[name] = np.where(given > 0, shares @ ((self.verdicts == verdict) & right) / given, np.nan)
        return result


def _half(weights: np.ndarray) -> np.ndarray:
    """Each row of weights, rescaled to a sum of one half."""
    return weights / (2 * weights.sum(axis=1, keepdims=True))
