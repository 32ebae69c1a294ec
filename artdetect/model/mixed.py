"""Pictures of mixed origin: one compact region says AI and the rest says human, such as a face that was painted in.

The region is found on the evidence of the picture's places. How firmly both sides must speak is fitted on pictures that
are of one origin, see `artdetect.train.mixed`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
MIN_AREA = 0.04  # of a picture: the least share of a region


@dataclass(frozen=True)
class MixedRule:
    """When a picture is called mixed.

    Args:
        firmness: The least `MixedRegion.firmness`, in logits.
        false_alarms: The share of human-made pictures, of one origin and of left-out sources, that it calls mixed.
        upper: The upper end of the one-sided 95 % interval of that share.
        human_pictures: How many these are.
        found: Which share of the area is pasted, as in `artdetect.pictures.splices.SIZES` -> the share of such spliced
            pictures, of left-out sources, that are called mixed.
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


@dataclass(frozen=True, eq=False)  # eq=False: arrays do not compare to one truth value
class MixedRegion:
    """A region of a picture that stands out from the rest.

    Args:
        ai: Which places say AI, bool [G, G].
        box: left, top, right, bottom of these places, as shares of the picture's sides.
        human_box: The same of the other places.
        area: Their share of the picture.
        firmness: The smaller of two means, in logits: what the region's places say for AI, and the others for human.
    """

    ai: "NDArray[np.bool_]"
    box: Box
    human_box: Box
    area: float
    firmness: float


def region(margin: "NDArray[np.floating]") -> MixedRegion | None:
    """The region that stands out from a rest of the other class; None if none is large enough.

    It is the largest connected piece of the class that has fewer places.

    Args:
        margin: float [G, G], the logit of AI minus that of human of each place.
    """
    of_ai = (margin > 0).mean() <= 0.5
    largest = _largest_piece(margin > 0 if of_ai else margin < 0)
    if largest.mean() < MIN_AREA:
        return None
    ai = largest if of_ai else ~largest
    firmness = float(min(margin[ai].mean(), -margin[~ai].mean()))
    return MixedRegion(ai, _box(ai), _box(~ai), float(ai.mean()), firmness)


def standing_out(ai_box: Box, human_box: Box, ai_area: float) -> tuple[str, Box]:
    """What stands out of a picture of mixed origin, "AI" or "human": what has the smaller part of it; and its box.

    Args:
        ai_box: `MixedRegion.box`.
        human_box: `MixedRegion.human_box`.
        ai_area: `MixedRegion.area`.
    """
    return ("AI", ai_box) if ai_area <= 0.5 else ("human", human_box)


def in_words(ai_box: Box, human_box: Box, ai_area: float) -> str:
    """`standing_out` and where, such as "AI at 0 to 40 % from the left, …"."""
    name, (left, top, right, bottom) = standing_out(ai_box, human_box, ai_area)
    across, down = f"{100 * left:.0f} to {100 * right:.0f} %", f"{100 * top:.0f} to {100 * bottom:.0f} %"
    return f"{name} at {across} from the left, {down} from the top"


def _box(places: "NDArray[np.bool_]") -> Box:
    """left, top, right, bottom of some places, as shares of the sides."""
    rows, columns = np.flatnonzero(places.any(axis=1)), np.flatnonzero(places.any(axis=0))
    height, width = places.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def _largest_piece(places: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """The largest piece of places that touch by a side, the first of equals. The base install has no scipy."""
    none = places.size
    first = np.where(places, np.arange(none).reshape(places.shape), none)  # of its piece
    while True:
        around = np.pad(first, 1, constant_values=none)
        sides = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
        spread = np.where(places, np.minimum.reduce([first, *sides]), none)
        if np.array_equal(spread, first):
            break
        first = spread
    sizes = np.bincount(first.ravel(), minlength=none + 1)[:none]
    return places & (first == sizes.argmax())
