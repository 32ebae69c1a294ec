"""An explanation, and its file: one .npz whose bytes depend on the content alone.

It knows neither how explanations are computed nor how they are drawn, so that either can change alone.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artdetect.core.errors import ArtifactError

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
)  # what reading a damaged zip archive raises


@dataclass(frozen=True, eq=False)  # eq=False: arrays do not compare to one truth value
class Explanation:
    """Which parts of a picture speak for class `target`.

    Args:
        heatmap: float32 [H, W], finite, at the resolution of the regions: for each region (XRAI) or pixel (other
            methods) the mean share of a pixel of the model's picture in the explained score. Negative values speak
            against the class.
        ranks: int32 [H, W], 1 = the most important region, each region one number; None where a method has no regions.
        target: The explained class, an index into `artdetect.pictures.labels.CLASSES`.
        score: The explained number: by default the logit of the class minus the other's.
        completeness_error: How far the sum of all attributions is from the score, in its units, the mean over the
            baselines; None where completeness does not hold for the method.
        config: What the map depends on besides picture and model, as JSON values.
        attributions: float32 [h, w, C], of each pixel and channel of the model's picture; None where the method has
            none, and in an explanation that was loaded from a file.
    """

    heatmap: NDArray[np.float32]
    ranks: NDArray[np.int32] | None
    target: int
    score: float
    completeness_error: float | None
    config: dict[str, Any]
    attributions: NDArray[np.float32] | None = None

    def regions(self) -> NDArray[np.int32]:
        """`ranks`, or where there are none the rank of each value of the heatmap: int32 [H, W], equal values as one."""
        if self.ranks is not None:
            return self.ranks
        _, level = np.unique(-self.heatmap, return_inverse=True)
        return (level.reshape(self.heatmap.shape) + 1).astype(np.int32)

    def top_mask(self, fraction: float = 0.25) -> NDArray[np.bool_]:
        """The most important regions, as few as cover `fraction` of the area.

        Returns:
            bool [H, W]. It covers `fraction` or more, because regions are not cut.

        Raises:
            ValueError: `fraction` is not above 0 and at most 1.
        """
        if not 0 < fraction <= 1:
            raise ValueError(f"`fraction` must be above 0 and at most 1. Received: fraction={fraction}")
        regions = self.regions()
        ranks, pixels = np.unique(regions, return_counts=True)
        enough = int(np.searchsorted(np.cumsum(pixels), fraction * regions.size))
        return regions <= ranks[min(enough, len(ranks) - 1)]


def save(explanation: Explanation, path: Path) -> None:
    """Write an explanation without its `attributions` to exactly `path`. Equal explanations give equal bytes.

    Raises:
        TypeError: `config` holds something that is not a JSON value.
    """
    values = {name: getattr(explanation, name) for name in ("target", "score", "completeness_error", "config")}
    names = ["explanation", "heatmap"] if explanation.ranks is None else ["explanation", "heatmap", "ranks"]
    values["arrays"] = names  # a damaged zip archive may hide one
    arrays: dict[str, Any] = {"heatmap": explanation.heatmap, "explanation": np.array(json.dumps(values))}
    if explanation.ranks is not None:
        arrays["ranks"] = explanation.ranks
    with path.open("wb") as file:  # given a name, numpy would append .npz to it
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load(path: Path) -> Explanation:
    """Load what `save` wrote.

    Raises:
        ArtifactError: There is no such file, or it does not hold an explanation.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = json.loads(str(arrays["explanation"]))
            if values.pop("arrays", None) not in (None, sorted(arrays.files)):
                raise ValueError("an array is missing")
            return Explanation(arrays["heatmap"], arrays.get("ranks"), **values)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: there is no such explanation; run the explain stage again") from error
    except (*_DAMAGED, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not an explanation ({error}); delete it and run the explain stage again"
        ) from error
