"""One sentence about an explanation: where its regions lie, what they speak for, and what the rest says.

It is computed from the regions alone. Places are named by position: a detector has no names for what a picture shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from artdetect.explain import map_values
from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import is_signed
from artdetect.pictures.labels import CLASSES

WHOLE = 0.85  # share of the area from which a region is the whole picture
_MOST = 0.55  # the same for most of it
_WIDE = 0.7  # share of a side from which the middle nine tenths of a region span it
_THIRDS = 0.38, 0.62  # shares of a side between which a region lies in its middle


def caption(explanation: Explanation) -> str:
    """The sentence, such as "The upper left and the centre speak for AI; the rest says nothing."."""
    region_map = explanation.region_map
    if region_map is None or not explanation.regions:
        return "No part stands out." if explanation.p_ai is None else "No part says anything on its own."
    signed = is_signed(explanation.config)
    clauses = []
    for name, sign in zip(CLASSES, (1, -1), strict=True):
        regions = enumerate(explanation.regions, 1)
        numbers = [n for n, region in regions if sign * region.value > 0 or (not signed and sign > 0)]
        if numbers:
            places = list(dict.fromkeys(place(region_map == number) for number in numbers))
            clauses.append((sum(explanation.regions[n - 1].area for n in numbers), _clause(places, name, signed)))
    clauses.sort(key=lambda pair: -pair[0])
    texts = [text for _, text in clauses]
    if (region_map == 0).mean() > 1 - WHOLE:
        texts.append(f"the rest {_rest(explanation, region_map == 0, signed)}")
    sentence = "; ".join(texts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def place(inside: NDArray[np.bool_]) -> str:
    """Where a region [H, W] lies in the picture, in words."""
    rows, columns = np.nonzero(inside)
    if inside.mean() >= WHOLE:
        return "the whole picture"
    if inside.mean() >= _MOST:
        return "most of the picture"
    (row, tall), (column, wide) = _along(rows, inside.shape[0]), _along(columns, inside.shape[1])
    if wide and not tall:
        return ("the upper part", "the middle from side to side", "the lower part")[row]
    if tall and not wide:
        return ("the left side", "the middle from top to bottom", "the right side")[column]
    return (
        ("the upper left", "the top", "the upper right"),
        ("the left", "the centre", "the right"),
        ("the lower left", "the bottom", "the lower right"),
    )[row][column]


def _along(places: NDArray[np.integer], side: int) -> tuple[int, bool]:
    """The third of a side in which some places lie on average, and whether they span it, but for a few."""
    low, high = np.percentile(places, [5, 95])
    return int(np.searchsorted(_THIRDS, (places.mean() + 0.5) / side)), bool(high - low >= _WIDE * side)


def _clause(places: list[str], name: str, signed: bool) -> str:
    joined = f"{', '.join(places[:-1])} and {places[-1]}" if len(places) > 1 else places[0]
    plural = len(places) > 1
    if not signed:
        return f"{joined} {'matter' if plural else 'matters'} most for the verdict"
    return f"{joined} {'speak' if plural else 'speaks'} for {name}"


def _rest(explanation: Explanation, outside: NDArray[np.bool_], signed: bool) -> str:
    """What the places outside the regions say, by their majority."""
    values = map_values.for_ai(explanation)
    speaks = map_values.speaking(explanation, values)
    if not signed:
        return "matters less"
    ai, human = (values[outside] >= speaks).mean(), (values[outside] <= -speaks).mean()
    if max(ai, human) > 0.5:
        return f"leans to {'AI' if ai > human else 'human'}"
    if ai + human >= 0.5:
        return "is divided"
    return "says little" if explanation.p_ai is None else "says nothing"
