"""The slice finder: groups of test pictures on which the detector is worse than chance explains.

Many groups are tried, and some are bad by chance: what is listed holds against all that were tried together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.evaluate import subgroups
from artdetect.stats.confidence_intervals import share_interval

if TYPE_CHECKING:
    import pandas as pd

MIN_SLICE = 20  # pictures in a slice
MAX_SLICES = 10  # slices listed
FALSE_DISCOVERIES = 0.05  # share of the slices listed that may be there by chance
QUALITIES = {"1–50": 50, "51–75": 75, "76–90": 90, "91–100": 100}
QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True)
class Slice:
    """Rows of a table; `within` are larger sets of rows, all of them first, of whose rest it should be worse."""

    what: str
    rows: np.ndarray
    within: tuple[np.ndarray, ...]


def find(predictions: "pd.DataFrame", facts: "pd.DataFrame") -> dict[str, Any]:
    """The worst slices: values of a property, and pairs of values of two that are worse together than either alone.

    Args:
        predictions: label, called, style, generator. facts: width, height, format, mode, jpeg_quality, has_exif,
            contrast of the same rows.

    Returns:
        "slices": up to `MOST` with q <= `FALSE_DISCOVERIES`, the least accurate first: what, pictures, accuracy, rest
        (the accuracy of all other pictures) and q. "slices_tried": among how many.

        q comes from Fisher's exact test that a slice is no worse than the rest; a pair also has to be worse than the
        rest of each of its values, and its largest p-value counts. Source of q: Benjamini and Hochberg (1995).
    """
    from scipy.stats import false_discovery_control

    right = (predictions.label == predictions.called).to_numpy()
    tried = list(_slices(_properties(predictions, facts)))
    q = false_discovery_control([_p_value(slice, right) for slice in tried]) if tried else []
    found = [_row(slice, right, float(q)) for slice, q in zip(tried, q, strict=True) if q <= FALSE_DISCOVERIES]
    found.sort(key=lambda row: (row["accuracy"]["value"], row["q"]))
    return {"slices": found[:MAX_SLICES], "slices_tried": len(tried)}


def _properties(predictions: "pd.DataFrame", facts: "pd.DataFrame") -> "pd.DataFrame":
    """What slices are made by, a word a cell."""
    import pandas as pd

    quality = pd.cut(facts.jpeg_quality.astype(float), [0, *QUALITIES.values()], labels=list(QUALITIES))
    rank = facts.contrast.rank(pct=True)  # of ties the middle, so that all get one word
    return pd.DataFrame(
        {
            "style": predictions["style"].to_numpy(),
            "generator": predictions["generator"].to_numpy(),
            "format": facts["format"].to_numpy(),
            "mode": facts["mode"].to_numpy(),
            "JPEG quality": quality.astype("str").where(quality.notna(), "none").to_numpy(),
            "EXIF": np.where(facts.has_exif, "yes", "no"),
            "size": subgroups.size_bin(facts).astype("str").to_numpy(),
            "contrast": pd.cut(rank, [0, 0.25, 0.5, 0.75, 1], labels=list(QUARTERS)).astype("str").to_numpy(),
        }
    )


def _slices(properties: "pd.DataFrame") -> Iterator[Slice]:
    """Those large enough and with a rest; of those with the same rows the first."""
    everyone = np.arange(len(properties))
    alone = {name: properties.groupby(name).indices for name in properties}
    seen = {everyone.tobytes()}
    slices = [
        Slice(f"{name}={value}", rows, (everyone,)) for name, found in alone.items() for value, rows in found.items()
    ]
    for one, other in combinations(properties, 2):
        for (left, right), rows in properties.groupby([one, other]).indices.items():
            within = (everyone, alone[one][left], alone[other][right])
            slices.append(Slice(f"{one}={left}, {other}={right}", rows, within))
    for slice in slices:
        if len(slice.rows) >= MIN_SLICE and slice.rows.tobytes() not in seen:
            seen.add(slice.rows.tobytes())
            yield slice


def _p_value(slice: Slice, right: np.ndarray) -> float:
    """The probability of so few right ones in the slice if they were dealt at random within a larger set."""
    from scipy.stats import hypergeom

    hits = right[slice.rows].sum()
    return max(float(hypergeom.cdf(hits, len(larger), right[larger].sum(), len(slice.rows))) for larger in slice.within)


def _row(slice: Slice, right: np.ndarray, q: float) -> dict[str, Any]:
    hits = int(right[slice.rows].sum())
    return {
        "what": slice.what,
        "pictures": len(slice.rows),
        "accuracy": share_interval(hits, len(slice.rows)),
        "rest": (int(right.sum()) - hits) / (len(right) - len(slice.rows)),
        "q": q,
    }
