"""95 % intervals that hold for a handful of pictures too, and where nothing was wrong."""

CONFIDENCE = 0.95


def wilson(right: int, pictures: int) -> tuple[float, float]:
    """The interval of a share, `right` of `pictures`. Source: Wilson (1927)."""
    from scipy.stats import binomtest

    interval = binomtest(right, pictures).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def of_extreme_auc(auc: float, ai: int, human: int) -> tuple[float, float]:
    """The interval of an area under the ROC curve that is exactly 1 or 0, where a bootstrap has no width.

    Wilson's for a share of min(`ai`, `human`) pictures. That is conservative: the area is an average over matchings
    of so many pairs of an AI and a human picture, the pairs of a matching are independent, and an average varies no
    more than what it averages. Source of the bound on the variance: Birnbaum and Klose (1957).
    """
    pairs = min(ai, human)
    return wilson(round(auc) * pairs, pairs)
