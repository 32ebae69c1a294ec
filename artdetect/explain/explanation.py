"""What an explanation is, alone and in a batch, and its file: one .npz whose bytes depend on the content alone.

Kept apart from the computation and from the drawing, so that either can change without touching the other.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from artdetect.core.errors import ArtifactError


@dataclass(frozen=True, eq=False)  # eq=False: arrays do not compare to one truth value
class Explanation:
    """Which parts of a picture speak for class `target`.

    Args:
        heatmap: float32 [H, W], at the resolution of the regions: per region (XRAI) or pixel (other methods) the mean
            share of a pixel of the model's picture in the explained score; negative values speak against the class.
            Always finite.
        ranks: int32 [H, W], 1 = the most important region, each region one number; None where a method has no regions.
        target: The explained class, an index into `artdetect.pictures.labels.CLASSES`.
        score: The explained number: by default the class's logit minus the other's.
        completeness_error: By how much the pixels' attributions miss the score in sum, in its units, the mean over the
            baselines; None where the method does not promise completeness.
        attributions: float32 [h, w, C], of each pixel and channel of the model's picture; None where the method has no
            such thing, and in what is loaded from a file.
        config: What the map depends on besides picture and model, as JSON values.
    """

    heatmap: NDArray[np.float32]
    ranks: NDArray[np.int32] | None
    target: int
    score: float
    completeness_error: float | None
    config: dict[str, Any]
    attributions: NDArray[np.float32] | None = None

    def regions(self) -> NDArray[np.int32]:
        """int32 [H, W]: `ranks`, or where there are none the rank of each level of the heatmap (ties are one)."""
        if self.ranks is not None:
            return self.ranks
        _, level = np.unique(-self.heatmap, return_inverse=True)
        return (level.reshape(self.heatmap.shape) + 1).astype(np.int32)

    def top_mask(self, fraction: float = 0.25) -> NDArray[np.bool_]:
        """The most important regions, each as a whole, as many as it takes to cover `fraction` of the area.

        Returns:
            bool [H, W] that covers `fraction` or more: regions are not cut to meet it.

        Raises:
            ValueError: `fraction` is not above 0 and at most 1.
        """
        if not 0 < fraction <= 1:
            raise ValueError(f"`fraction` must be above 0 and at most 1. Received: fraction={fraction}")
        regions = self.regions()
        ranks, pixels = np.unique(regions, return_counts=True)
        enough = int(np.searchsorted(np.cumsum(pixels), fraction * regions.size))
        return regions <= ranks[min(enough, len(ranks) - 1)]


class Explanations(Sequence[Explanation]):
    """The explanations of N pictures, in their order; each stands alone under its number.

    Args:
        found: One for each picture.
        config: What all of them depend on besides picture and model, as JSON values.
    """

    def __init__(self, found: Sequence[Explanation], config: dict[str, Any]):
        self._found, self.config = tuple(found), config

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> Explanation: ...
    @overload
    def __getitem__(self, index: slice) -> Explanations: ...
    def __getitem__(self, index):
        found = self._found[index]
        return Explanations(found, self.config) if isinstance(index, slice) else found

    @property
    def heatmaps(self) -> list[NDArray[np.float32]]:
        """float32 [H, W] each; artworks differ in size, so this is a list."""
        return [one.heatmap for one in self]

    @property
    def ranks(self) -> list[NDArray[np.int32] | None]:
        """int32 [H, W] each, or None."""
        return [one.ranks for one in self]

    @property
    def attributions(self) -> list[NDArray[np.float32] | None]:
        """float32 [h, w, C] each, or None."""
        return [one.attributions for one in self]

    @property
    def targets(self) -> NDArray[np.int64]:
        """The explained classes, int64 [N]."""
        return np.array([one.target for one in self], np.int64)

    @property
    def scores(self) -> NDArray[np.float64]:
        """The explained numbers, float64 [N]."""
        return np.array([one.score for one in self], np.float64)

    @property
    def completeness_error(self) -> NDArray[np.float64]:
        """float64 [N], in units of the score; NaN where the method does not promise completeness."""
        return np.array([one.completeness_error for one in self], np.float64)

    def top_mask(self, fraction: float = 0.25) -> list[NDArray[np.bool_]]:
        """bool [H, W] each: `Explanation.top_mask`."""
        return [one.top_mask(fraction) for one in self]


def save(explanation: Explanation, path: Path) -> None:
    """Writes `explanation` but for its `attributions` to exactly `path`; equal explanations give equal bytes.

    Raises:
        TypeError: `config` holds something that is not a JSON value.
    """
    described = {name: getattr(explanation, name) for name in ("target", "score", "completeness_error", "config")}
    arrays: dict[str, Any] = {"heatmap": explanation.heatmap, "explanation": np.array(json.dumps(described))}
    if explanation.ranks is not None:
        arrays["ranks"] = explanation.ranks
    with path.open("wb") as file:  # given a name, numpy would append .npz to it
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load(path: Path) -> Explanation:
    """The inverse of `save`.

    Raises:
        ArtifactError: There is no such file, or it does not hold an explanation.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            described = json.loads(str(arrays["explanation"]))
            return Explanation(arrays["heatmap"], arrays.get("ranks"), **described)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: there is no such explanation; run the explain stage again") from error
    except (ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"{path}: not an explanation ({error}); delete it and run the explain stage again"
        ) from error
