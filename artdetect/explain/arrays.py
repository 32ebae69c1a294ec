"""What an explanation is, and its file: one .npz whose bytes depend on the content alone.

Kept apart from the computation and from the drawing, so that either can change without touching the other.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artdetect.errors import ArtifactError


@dataclass(frozen=True, eq=False)  # eq=False: arrays do not compare to one truth value
class Explanation:
    """Which regions of a picture speak for class `target`.

    Args:
        attributions: float32 [H, W], the XRAI heatmap: per region, the mean share of a pixel in the logit margin of
            `target`; negative values speak against it. Always finite.
        ranks: int32 [H, W], 1 = the most important region, each region one number; None where they are not known.
        target: The explained class, an index into `artdetect.labels.CLASSES`.
        settings: What the map depends on besides picture and model, as JSON values.
    """

    attributions: NDArray[np.float32]
    ranks: NDArray[np.int32] | None
    target: int
    settings: dict[str, Any]

    def regions(self) -> NDArray[np.int32]:
        """int32 [H, W]: `ranks`, or where they are not known the rank of each level of the heatmap (ties are one)."""
        if self.ranks is not None:
            return self.ranks
        _, level = np.unique(-self.attributions, return_inverse=True)
        return (level.reshape(self.attributions.shape) + 1).astype(np.int32)


def save(explanation: Explanation, path: Path) -> None:
    """Writes `explanation` to exactly `path`; equal explanations give equal bytes.

    Raises:
        TypeError: `settings` holds something that is not a JSON value.
    """
    settings = json.dumps({"target": explanation.target, "settings": explanation.settings}, sort_keys=True)
    arrays: dict[str, Any] = {"attributions": explanation.attributions, "explanation": np.array(settings)}
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
            return Explanation(
                attributions=arrays["attributions"],
                ranks=arrays.get("ranks"),
                target=int(described["target"]),
                settings=dict(described["settings"]),
            )
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: there is no such explanation; run the explain stage again") from error
    except (ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"{path}: not an explanation ({error}); delete it and run the explain stage again"
        ) from error
