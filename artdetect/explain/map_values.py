"""What a map says at each place, in one direction for all methods: positive values speak for AI, negative for human."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import METHODS, is_signed
from artdetect.pictures.labels import CLASSES

SPEAKS = 0.65  # p(AI), or p(human), from which a part speaks for a class: odds of about two to one
SHARE_OF_PEAK = 0.25  # the same for maps without probabilities, as a share of their largest value


def for_ai(explanation: Explanation) -> NDArray[np.float32]:
    """The value at each place, float32 [H, W]: 0 says nothing.

    Where parts were judged, 2 p(AI) - 1, averaged over the map's ranked regions, whose edges it takes. Otherwise the
    heatmap. A map without signs stays as it is.
    """
    if explanation.p_ai is not None:
        return _on_regions(np.nan_to_num(2 * explanation.p_ai - 1), explanation)
    return heatmap_for_ai(explanation)


def heatmap_for_ai(explanation: Explanation) -> NDArray[np.float32]:
    """The heatmap, positive where it speaks for AI, whichever class was explained."""
    turned = is_signed(explanation.config) and CLASSES[explanation.target] != "AI"
    return -explanation.heatmap if turned else explanation.heatmap


def speaking(explanation: Explanation, values: NDArray[np.float32]) -> float:
    """The value from which a place speaks for a class.

    Args:
        explanation: The explanation.
        values: The values of its map, from `for_ai`.
    """
    if explanation.p_ai is not None:
        return 2 * SPEAKS - 1
    if reach(explanation):  # values are logits
        return math.log(SPEAKS / (1 - SPEAKS))
    return SHARE_OF_PEAK * float(np.abs(values).max())


def reach(explanation: Explanation) -> float | None:
    """The value of the strongest colour, where it does not depend on the picture: that of probabilities and logits."""
    method = METHODS.get(explanation.config.get("method", ""))
    if explanation.p_ai is not None:
        return 1.0
    return method.reach if method else None


def label(explanation: Explanation) -> str:
    """The name of the method, for people; "" where it is not known."""
    method = METHODS.get(explanation.config.get("method", ""))
    name = method.label if method else ""
    return f"{name} as in the saliency package" if explanation.config.get("compat") else name


def _on_regions(values: NDArray[np.float32], explanation: Explanation) -> NDArray[np.float32]:
    """`values` [h, w] at the size of the heatmap, the mean of each ranked region where there are some."""
    height, width = explanation.heatmap.shape
    if values.shape != (height, width):
        values = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
    if explanation.ranks is None:
        return values
    ranks = explanation.ranks.ravel()
    means = np.bincount(ranks, values.ravel()) / np.maximum(np.bincount(ranks), 1)
    return means.astype(np.float32)[explanation.ranks]
