"""The evidence for one picture as an explanation, at the resolution of its places, with nothing but NumPy.

The method `evidence` gives it the edges of segments, and needs the extra `explain`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from artdetect.explain import map_values, pointing
from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import EvidenceSettings
from artdetect.model.decision import logit
from artdetect.pictures.labels import AI, CLASSES

if TYPE_CHECKING:
    from artdetect.model.evidence import Evidence
    from artdetect.model.predict import Verdict


def explained(evidence: Evidence, verdict: Verdict) -> Explanation:
    """What speaks for the likelier class, [G, G], with its regions; none is smaller than the smallest windows.

    Args:
        evidence: The evidence for the verdict, of one picture: N = 1.
        verdict: The verdict on a picture that can be read.
    """
    assert verdict.predicted is not None
    assert verdict.p_ai is not None
    target, p_ai = CLASSES.index(verdict.predicted), evidence.p_ai[0]
    sign = 1 if target == AI else -1
    found = Explanation(
        (sign * evidence.margin[0]).astype(np.float32),
        None,
        target,
        sign * float(logit(np.array([verdict.p_ai]))[0]),
        None,
        {"method": EvidenceSettings.method},
        p_ai=None if np.isnan(p_ai).all() else p_ai,
    )
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
