"""95 % intervals that also hold for a handful of pictures, and where no picture is wrong."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.95


def wilson(right: float, pictures: int) -> tuple[float, float]:
    """The interval of the share `right` of `pictures`. Source: Wilson (1927)."""
    from scipy.special import ndtri

    z = float(ndtri((1 + CONFIDENCE) / 2))
    share = right / pictures
    middle = (2 * right + z**2) / (2 * (pictures + z**2))
    reach = z * (4 * right * (1 - share) + z**2) ** 0.5 / (2 * (pictures + z**2))
    return (0.0 if right == 0 else middle - reach), (1.0 if right == pictures else middle + reach)


def upper_limit(wrong: "NDArray[Any] | float", pictures: "NDArray[Any] | float") -> Any:
    """The upper end of the one-sided interval of the share `wrong` of `pictures`; both may be effective numbers.

    Source: Clopper and Pearson (1934).
    """
    import numpy as np
    from scipy.stats import beta

    return beta.ppf(CONFIDENCE, np.asarray(wrong) + 1, np.maximum(np.subtract(pictures, wrong), 1e-9))


def auc_interval(auc: float, ai: int, human: int) -> tuple[float, float]:
    """A conservative interval of an area under the ROC curve, where a bootstrap is too narrow or has no width at all.

    It is Wilson's interval of a share of min(`ai`, `human`) pictures. The area is an average over matchings of that
    many pairs of an AI and a human picture. The pairs of a matching are independent, and an average varies no more than
    what it averages. Source of this bound on the variance: Birnbaum and Klose (1957).

    Args:
        auc: The area.
        ai: The number of AI pictures.
        human: The number of human pictures.
    """
    pairs = min(ai, human)
    return wilson(auc * pairs, pairs)


def metric(value: float, low: float, high: float) -> dict[str, float]:
    """A value and its interval, in the form that metrics files use.

    Args:
        value: The value.
        low: The lower end of the interval.
        high: The upper end of the interval.
    """
    return {"value": float(value), "low": float(low), "high": float(high)}


def share_interval(right: float, pictures: int) -> dict[str, float]:
    """The share `right` of `pictures` with Wilson's interval."""
    return metric(right / pictures, *wilson(right, pictures))
