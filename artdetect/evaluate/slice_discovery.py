"""Slice discovery: groups of test pictures on which the detector is worse than chance explains.

Many groups are tried, and some are bad by chance. The listed ones are significant after a correction for all of them.
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
FALSE_DISCOVERY_RATE = 0.05  # expected share of the listed slices that are there by chance
QUALITIES = {"1–50": 50, "51–75": 75, "76–90": 90, "91–100": 100}
QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True)
class Slice:
    """A group of rows of a table.

    Args:
        what: The property values that define it.
        rows: Positions of its rows, int64 `(n,)`.
        within: Larger sets of rows, the whole table first; the slice should be worse than the rest of each.
    """

    what: str
    rows: np.ndarray
    within: tuple[np.ndarray, ...]


def find(predictions: "pd.DataFrame", metadata: "pd.DataFrame") -> dict[str, Any]:
    """Find the worst slices: values of one property, and pairs of values that are worse together than either alone.

    The q-value comes from Fisher's exact test that a slice is no worse than the rest. A pair also has to be worse than
    the rest of each of its values; its largest p-value counts. Source of q: Benjamini and Hochberg (1995).

    Args:
        predictions: label, predicted, style, generator.
        metadata: width, height, format, mode, jpeg_quality, has_exif, contrast of the same rows.

    Returns:
        "slices": up to `MAX_SLICES` with q <= `FALSE_DISCOVERY_RATE`, the least accurate first: what, pictures,
        accuracy, rest (the accuracy of all other pictures) and q. "slices_tried": the number of slices tested.
    """
    from scipy.stats import false_discovery_control

    right = (predictions.label == predictions.predicted).to_numpy()
    slices = list(_slices(_properties(predictions, metadata)))
    q_values = false_discovery_control([_p_value(slice, right) for slice in slices]) if slices else []
    rows = [
        _row(slice, right, float(q)) for slice, q in zip(slices, q_values, strict=True) if q <= FALSE_DISCOVERY_RATE
    ]
    rows.sort(key=lambda row: (row["accuracy"]["value"], row["q"]))
    return {"slices": rows[:MAX_SLICES], "slices_tried": len(slices)}


def members(predictions: "pd.DataFrame", metadata: "pd.DataFrame") -> dict[str, np.ndarray]:
    """The slices by what defines them: positions of their rows, int64 `(n,)`. Arguments as for `find`."""
    return {slice.what: slice.rows for slice in _slices(_properties(predictions, metadata))}


def _properties(predictions: "pd.DataFrame", metadata: "pd.DataFrame") -> "pd.DataFrame":
    """The properties that define slices, one column each, as text."""
    import pandas as pd

    quality = pd.cut(metadata.jpeg_quality.astype(float), [0, *QUALITIES.values()], labels=list(QUALITIES))
    rank = metadata.contrast.rank(pct=True)  # ties get their mean rank, and so the same quarter
    return pd.DataFrame(
        {
            "style": predictions["style"].to_numpy(),
            "generator": predictions["generator"].to_numpy(),
            "format": metadata["format"].to_numpy(),
            "mode": metadata["mode"].to_numpy(),
            "JPEG quality": quality.astype("str").where(quality.notna(), "none").to_numpy(),
            "EXIF": np.where(metadata.has_exif, "yes", "no"),
            "size": subgroups.size_bin(metadata).astype("str").to_numpy(),
            "contrast": pd.cut(rank, [0, 0.25, 0.5, 0.75, 1], labels=list(QUARTERS)).astype("str").to_numpy(),
        }
    )


def _slices(properties: "pd.DataFrame") -> Iterator[Slice]:
    """The slices that are large enough and not the whole table; of several with the same rows, the first."""
    everyone = np.arange(len(properties))
    by_value = {name: properties.groupby(name).indices for name in properties}
    slices = [
        Slice(f"{name}={value}", rows, (everyone,))
        for name, values in by_value.items()
        for value, rows in values.items()
    ]
    for one, other in combinations(properties, 2):
        for (left, right), rows in properties.groupby([one, other]).indices.items():
            within = (everyone, by_value[one][left], by_value[other][right])
            slices.append(Slice(f"{one}={left}, {other}={right}", rows, within))
    earlier = {everyone.tobytes()}
    for slice in slices:
        if len(slice.rows) >= MIN_SLICE and slice.rows.tobytes() not in earlier:
            earlier.add(slice.rows.tobytes())
            yield slice


def _p_value(slice: Slice, right: np.ndarray) -> float:
    """The probability of so few right predictions in the slice if it were a random part of each larger set."""
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
