"""Pictures of mixed origin: one compact region says AI and the rest says human, such as a face that was painted in.

The region is found on the evidence of the picture's places. How firmly both sides must speak is fitted on pictures that
are of one origin, see `artdetect.train.mixed`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_AREA = 0.04  # of a picture: the least share of a region, and of what is left


@dataclass(frozen=True)
class MixedRule:
    """When a picture is called mixed.

    Args:
        firmness: The least `MixedRegion.firmness`, in logits.
        false_alarms: The share of human-made pictures, of one origin and of left-out sources, that it calls mixed.
        upper: The upper end of the one-sided 95 % interval of that share.
        human_pictures: How many these are.
        found: Smallest share of the area that is pasted -> the share of spliced pictures of left-out sources that are
            called mixed.
        spliced_pictures: How many these are.
    """

    firmness: float
    false_alarms: float
    upper: float
    human_pictures: int
    found: "dict[str, float]"
    spliced_pictures: int

    def region(self, margin: "NDArray[np.floating]") -> "MixedRegion | None":
        """The region of a picture of mixed origin, from the margin of its places [G, G]; None for other pictures."""
        found = region(margin)
        return found if found and found.firmness >= self.firmness else None


@dataclass(frozen=True)
class MixedRegion:
    """The region of a picture that stands out most from the rest.

    Args:
        ai: Which places say AI, bool [G, G].
        box: left, top, right, bottom of these places, as shares of the picture's sides.
        area: Their share of the picture.
        firmness: The smaller of two means, in logits: what the region's places say for AI, and the others for human.
    """

    ai: "NDArray[np.bool_]"
    box: tuple[float, float, float, float]
    area: float
    firmness: float


def region(margin: "NDArray[np.floating]") -> MixedRegion | None:
    """The region of AI that stands out most from a human rest, or the reverse; None if all places are on one side.

    Either the places of the region are one connected piece, or those of the rest are.

    Args:
        margin: float [G, G], the logit of AI minus that of human of each place.
    """
    from scipy.ndimage import label

    best = None
    for sign in (1, -1):
        pieces, count = label(margin * sign > 0)
        if not count:
            continue
        largest = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
        if not MIN_AREA <= largest.mean() <= 1 - MIN_AREA:
            continue
        ai = largest if sign > 0 else ~largest
        firmness = float(min(margin[ai].mean(), -margin[~ai].mean()))
        if best is None or firmness > best.firmness:
            rows, columns = np.flatnonzero(ai.any(axis=1)), np.flatnonzero(ai.any(axis=0))
            height, width = ai.shape
            box = (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)
            best = MixedRegion(ai, tuple(float(edge) for edge in box), float(ai.mean()), firmness)
    return best
