"""Two models on art from other sources, compared on the pictures that both were judged on."""

from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.stats.bootstrap import QUANTILES
from artdetect.stats.confidence_intervals import metric
from artdetect.stats.log_loss import log_losses

if TYPE_CHECKING:
    import pandas as pd

MIN_SOURCES = 4  # of a class: with fewer, a bootstrap over sources says little


def log_loss_change(old: "pd.DataFrame", new: "pd.DataFrame", resamples: int, seed: int) -> dict[str, Any] | str:
    """The log loss of both models, and its change with an interval over sources.

    Each picture was judged by a head that knew neither its source nor its generator, in both models. Pictures are
    paired by content, both classes count the same, and a source of n pictures counts as the root of n.

    Args:
        old: The old model's out_of_source.parquet: sha256, label, group, p_ai; the label is "AI" or "human".
        new: The new model's; its groups are the sources.
        resamples: Bootstrap resamples. Each draws whole sources, of each class by themselves.
        seed: Their seed.

    Returns:
        pictures, sources (both of the comparison), old, new, change (value, low, high); or why they cannot be compared.
    """
    columns = ["sha256", "label", "p_ai"]
    pairs = new[[*columns, "group"]].merge(old[columns], on=["sha256", "label"], suffixes=("_new", "_old"))
    pairs = pairs.drop_duplicates("sha256").sort_values("sha256")
    truth = (pairs.label == "AI").to_numpy()
    names, cluster = np.unique(pairs.label.to_numpy(str) + "/" + pairs.group.to_numpy(str), return_inverse=True)
    members = [np.unique(cluster[truth == is_ai]) for is_ai in (True, False)]
    if min(map(len, members)) < MIN_SOURCES:
        ai, human = map(len, members)
        return (
            f"both were judged on pictures of {ai} AI and {human} human sources, and {MIN_SOURCES} of each are needed"
        )
    sizes = np.bincount(cluster)
    sums = np.stack(
        [np.bincount(cluster, log_losses(truth, pairs[f"p_ai_{side}"].to_numpy())) for side in ("old", "new")]
    )
    weights = sizes**0.5  # a source counts with this, whatever its pictures' mean is
    weighted = sums / sizes * weights
    counts = np.zeros((resamples, len(names)))
    rng = np.random.default_rng(seed)
    for ids in members:
        draws = rng.integers(0, len(ids), (resamples, len(ids)))
        for row, drawn in zip(counts, draws, strict=True):
            row += np.bincount(ids[drawn], minlength=len(names))

    def losses(drawn: np.ndarray) -> np.ndarray:
        """The losses of both, float64 [2, B], for how often each source is drawn [B, sources]."""
        parts = [weighted[:, ids] @ drawn[:, ids].T / (drawn[:, ids] @ weights[ids]) for ids in members]
        return np.mean(parts, axis=0)

    (before,), (after,) = losses(np.ones((1, len(names))))
    resampled = losses(counts)
    low, high = np.quantile(resampled[1] - resampled[0], QUANTILES)
    return {
        "pictures": len(pairs),
        "sources": len(names),
        "old": float(before),
        "new": float(after),
        "change": {name: round(value, 12) + 0.0 for name, value in metric(after - before, low, high).items()},
    }
