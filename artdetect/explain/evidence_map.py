"""The evidence for one picture as an explanation, at the resolution of its places, with nothing but NumPy.

The method `evidence` gives it the edges of segments, and needs the extra `explain`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from artdetect.explain import map_values, pointing
from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import EvidenceSettings
from artdetect.pictures.labels import AI

if TYPE_CHECKING:
    from artdetect.model.evidence import Evidence


def explained(evidence: Evidence) -> Explanation:
    """An explanation [G, G] with its regions; none is smaller than the smallest windows. It has no score.

    Args:
        evidence: That of one picture: N = 1.
    """
    p_ai = evidence.p_ai[0]
    calibrated = not np.isnan(p_ai).all()
    config = {"method": EvidenceSettings.method}
    found = Explanation(evidence.margin[0], None, AI, math.nan, None, config, p_ai=p_ai if calibrated else None)
    values = map_values.for_ai(found)
    smallest = round((min(evidence.windows) / evidence.cell) ** 2)
    return pointing.described(found, pointing.find(values, map_values.speaking(found, values), smallest, _pieces))


def _pieces(places: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """The pieces of places that touch by a side, [G, G] each. The base install has no scipy."""
    left = places.copy()
    while left.any():
        piece = np.zeros_like(left)
        piece.flat[np.argmax(left)] = True
        while True:
            padded = np.pad(piece, 1)
            sides = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
            grown = left & np.logical_or.reduce([piece, *sides])
            if np.array_equal(grown, piece):
                break
            piece = grown
        yield piece
        left &= ~piece
