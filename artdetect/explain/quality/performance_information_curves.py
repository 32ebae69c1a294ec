"""Performance information curves: how much of a picture's information the model needs to be right, or sure.

The picture starts strongly blurred, and its most important pixels are put back. x is the information that is then in
it: its size as a lossless WebP, 0 for the blurred and 1 for the full picture. y is whether the explained class is the
likelier one (accuracy, AIC) or its probability (softmax, SIC).
It departs from the source in its blur, which is Gaussian, and in y, which is not divided by the full picture's.
Source: Kapishnikov et al. 2019, arXiv 1906.02825.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Of the pixels, that are put back; most of what there is to tell happens early.
SHARES = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.45, 0.7, 1.0)


def information(picture: NDArray[np.floating]) -> int:
    """Bytes of a lossless file of `picture`, float [H, W, 3] in [0, 1]."""
    pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), "WEBP", lossless=True, quality=50, method=0)
    return file.tell()


def curve(sizes: NDArray, values: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The points x and y of a curve, float64 [K] each, from the blurred picture's to the full one's.

    Neither x nor y ever falls: what has been told is not taken back by what happens to compress well. y is bounded by
    the full picture's.

    Args:
        sizes: `information` of K pictures, the blurred one first, the full one last.
        values: Accuracy or probability of each, in [0, 1].

    Returns:
        None where the full picture has no more information than the blurred one.
    """
    if sizes[-1] <= sizes[0]:
        return None
    x = np.clip((sizes - sizes[0]) / (sizes[-1] - sizes[0]), 0, 1)
    return np.maximum.accumulate(x), np.minimum(np.maximum.accumulate(values), values[-1]).astype(np.float64)


def performance_information_auc(sizes: NDArray, probabilities: NDArray[np.floating]) -> dict[str, float]:
    """The areas under both curves of one picture, "aic" and "sic" in [0, 1]; NaN where there is no curve.

    Args:
        sizes, probabilities: As for `curve`; the explained class's probability.
    """
    found = {}
    for name, values in (("aic", probabilities >= 0.5), ("sic", probabilities)):
        points = curve(sizes, np.asarray(values, np.float64))
        found[name] = float("nan") if points is None else float(np.trapezoid(points[1], points[0]))
    return found
