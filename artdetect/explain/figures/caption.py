"""One sentence about an explanation: where its regions lie, what they speak for, and what the rest says.

The words are those of `map_words`.
It is computed from the regions alone. Places are named by position: a detector has no names for what a picture shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from artdetect.explain import map_values, map_words
from artdetect.explain.explanation import Explanation
from artdetect.explain.figures.overlay import HALF
from artdetect.explain.map_words import Words
from artdetect.explain.method_settings import is_signed
from artdetect.pictures.labels import CLASSES

WHOLE = 0.95  # share of the area from which a region is the whole picture
_WIDE = 0.7  # share of a side from which the middle nine tenths of a region span it
_HARDLY = 0.03  # share of the rest up to which what speaks for a class is not mentioned
_THIRDS = 0.38, 0.62  # shares of a side between which a region lies in its middle


def caption(explanation: Explanation) -> str:
    """The sentence, such as "The upper left and the centre speak for AI; the rest says nothing.".

    Of parts that are not calibrated, another one that says so stands before it.
    """
    words = map_words.of(explanation)
    return f"{words.first} {_sentence(explanation, words)}".strip()


def _sentence(explanation: Explanation, words: Words) -> str:
    region_map = explanation.region_map
    if region_map is None or not explanation.regions:
        return words.none
    signed = is_signed(explanation.config)
    clauses = []
    for name, sign in zip(CLASSES, (1, -1), strict=True):
        regions = enumerate(explanation.regions, 1)
        numbers = [n for n, region in regions if sign * region.value > 0 or (not signed and sign > 0)]
        if numbers:
            places = list(dict.fromkeys(place(region_map == number) for number in numbers))
            clauses.append(
                (sum(explanation.regions[n - 1].area for n in numbers), _clause(places, words, name if signed else ""))
            )
    clauses.sort(key=lambda pair: -pair[0])
    texts = [text for _, text in clauses]
    if (region_map == 0).mean() > 1 - WHOLE:
        texts.append(f"the rest {_rest(explanation, region_map == 0, words)}")
    sentence = "; ".join(texts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def place(inside: NDArray[np.bool_]) -> str:
    """Where a region [H, W] lies in the picture, in words."""
    rows, columns = np.nonzero(inside)
    if inside.mean() >= WHOLE:
        return "the whole picture"
    if inside.mean() > HALF:
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


def _clause(places: list[str], words: Words, name: str) -> str:
    if len(places) > 1:
        return f"{', '.join(places[:-1])} and {places[-1]} {words.many} {name}".strip()
    return f"{places[0]} {words.one} {name}".strip()


def _rest(explanation: Explanation, outside: NDArray[np.bool_], words: Words) -> str:
    """What the places outside the regions say, by their majority."""
    values = map_values.for_ai(explanation)
    speaks = map_values.speaking(explanation, values)
    if not is_signed(explanation.config):
        return words.little
    ai, human = (values[outside] >= speaks).mean(), (values[outside] <= -speaks).mean()
    if max(ai, human) > 0.5:
        return f"{words.rest} {'AI' if ai > human else 'human'}"
    if ai + human >= 0.5:
        return "is divided"
    return words.nothing if ai + human <= _HARDLY else words.little
