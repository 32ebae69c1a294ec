"""An explanation, and its file: one .npz whose bytes depend on the content alone.

It knows neither how explanations are computed nor how they are drawn, so that either can change alone.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artdetect.core.errors import ArtifactError

_ARRAYS = ("heatmap", "ranks", "p_ai", "region_map")  # in a file
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
)  # what reading a damaged zip archive raises


@dataclass(frozen=True)
class Region:
    """A connected part of a picture that says something, larger than the map's resolution.

    Args:
        area: Its share of the picture.
        value: The mean of the heatmap in it, positive where it speaks for AI; of a map without signs, its mean.
        p_ai: The mean p(AI) of its places, each judged alone; None where the method or the calibration gives none.
    """

    area: float
    value: float
    p_ai: float | None = None


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
        p_ai: float32 [h, w] of any resolution: the calibrated p(AI) of the part around each place, judged alone; NaN
            where such parts say nothing. None where a method does not judge parts.
        regions: What the map points at, the most evidence first, see `regions.compact`.
        region_map: int8 [H, W]: n in the n-th of `regions`, 0 elsewhere; None where they were not looked for.
    """

    heatmap: NDArray[np.float32]
    ranks: NDArray[np.int32] | None
    target: int
    score: float
    completeness_error: float | None
    config: dict[str, Any]
    attributions: NDArray[np.float32] | None = None
    p_ai: NDArray[np.float32] | None = None
    regions: tuple[Region, ...] = ()
    region_map: NDArray[np.int8] | None = None


def save(explanation: Explanation, path: Path) -> None:
    """Write an explanation without its `attributions` to exactly `path`. Equal explanations give equal bytes.

    Raises:
        TypeError: `config` holds something that is not a JSON value.
    """
    values = {name: getattr(explanation, name) for name in ("target", "score", "completeness_error", "config")}
    values["regions"] = [astuple(region) for region in explanation.regions]
    arrays = {name: array for name in _ARRAYS if (array := getattr(explanation, name)) is not None}
    values["arrays"] = sorted([*arrays, "explanation"])  # a damaged zip archive may hide one
    arrays["explanation"] = np.array(json.dumps(values))
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
            if values.pop("arrays") != sorted(arrays.files):
                raise ValueError("an array is missing")
            regions = tuple(Region(*region) for region in values.pop("regions"))
            return Explanation(**{name: arrays.get(name) for name in _ARRAYS}, regions=regions, **values)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: there is no such explanation; run the explain stage again") from error
    except (*_DAMAGED, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not an explanation ({error}); delete it and run the explain stage again"
        ) from error
