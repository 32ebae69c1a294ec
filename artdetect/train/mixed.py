"""Fits when a picture is called mixed: as firmly as it takes for few pictures of one origin to be called so.

All pictures are judged by heads that know neither their sources nor their generators: human-made ones for the false
alarms, and splices of two pictures of one fold for what is found.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from artdetect.core.progress import Progress, with_label
from artdetect.model import converted_backbone
from artdetect.model.feature_cache import Extractor
from artdetect.model.mixed import MixedRule, region
from artdetect.model.parts import Parts
from artdetect.model.window_grid import WindowGrid
from artdetect.pictures import content_draw, splices
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.pictures.pixel_cache import PixelCache
from artdetect.pictures.splices import Splice
from artdetect.stats.confidence_intervals import upper_limit
from artdetect.train.parts import FittedParts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

FALSE_ALARMS = 0.01  # of human-made pictures of one origin: the most that the upper limit of their share may be
MIN_HUMAN = 300  # of them: with fewer, the upper limit of their share is above 1 % even if there is none
MAX_HUMAN, SPLICES = 1000, 360
LEAST_FOUND = 0.1  # of the splices of one size: a rule that finds less is not worth its false alarms
SEED = 129  # of the splices


@dataclass(frozen=True)
class Judged:
    """How firmly pictures of left-out sources are of two origins: `MixedRegion.firmness`, -inf without a region.

    Args:
        human: Of human-made pictures of one origin, float [N].
        folds: The folds of these, int [N]: pictures of one source are in one fold.
        spliced: Of spliced pictures, float [M].
        areas: The share of the area of these that was pasted, float [M].
    """

    human: "NDArray[np.floating]"
    folds: "NDArray[np.integer]"
    spliced: "NDArray[np.floating]"
    areas: "NDArray[np.floating]"


def fit(fitted: FittedParts, extractor: Extractor, progress: Progress | None = None) -> MixedRule | None:
    """The rule, and what it finds; None where there are too few human-made pictures to bound its false alarms.

    Args:
        fitted: How parts are judged.
        extractor: How features are extracted.
        progress: Called with (done, all, label).
    """
    found = judged(fitted, extractor, progress)
    return None if found is None else rule(found)


def judged(fitted: FittedParts, extractor: Extractor, progress: Progress | None = None) -> Judged | None:
    """What the rule is fitted on; arguments and None as for `fit`."""
    labels, sha256s = fitted.pictures.label.to_numpy(), fitted.pictures.sha256.to_numpy(str)
    human = np.flatnonzero(np.isin(fitted.folds.folds, list(fitted.by_fold)) & (labels == CLASSES[HUMAN]))
    if len(human) < MIN_HUMAN or not any(fitted.parts.calibrations.values()):
        return None
    human = human[content_draw.sample("mixed", list(sha256s[human]), MAX_HUMAN)]
    judge, drawn = HeldOutJudge(extractor, fitted), splices_of_folds(fitted, SPLICES)[::2]  # without controls
    done = with_label(progress, "pictures of mixed origin")
    found = Judged(np.empty(len(human)), fitted.folds.folds[human], np.empty(len(drawn)), np.empty(len(drawn)))
    for place, sha256 in enumerate(sha256s[human]):
        found.human[place] = judge.firmness(judge.pixels(sha256), sha256)
        done(place + 1, len(human) + len(drawn))
    for place, splice in enumerate(drawn):
        picture, mask = splices.spliced(splice, judge.pixels(splice.base), judge.pixels(splice.donor))
        found.spliced[place], found.areas[place] = judge.firmness(picture, splice.base), mask.mean()
        done(len(human) + place + 1, len(human) + len(drawn))
    return found


def rule(judged: Judged) -> MixedRule | None:
    """The least firmness that calls few human-made pictures mixed: the upper limit of the share is `FALSE_ALARMS`.

    They are counted in each fold at the firmness that the other folds give, so that no source is judged by a firmness
    that was fitted on it. None if no firmness does.
    """
    human, number = judged.human, len(judged.human)
    for allowed in range(int(FALSE_ALARMS * number), -1, -1):
        share = allowed / number
        alarms = 0
        for fold in np.unique(judged.folds):
            inside = judged.folds == fold
            alarms += int((human[inside] >= _least_firmness(human[~inside], share)).sum())
        upper = float(upper_limit(alarms, number))
        if upper <= FALSE_ALARMS:
            break
    else:
        return None
    firmness, found = _least_firmness(human, share), {}
    for smallest, largest, name in splices.SIZES:
        inside = judged.spliced[(judged.areas >= smallest) & (judged.areas < largest)]
        if inside.size:
            found[name] = float((inside >= firmness).mean())
    return MixedRule(firmness, alarms / number, upper, number, found, len(judged.spliced))


def _least_firmness(human: "NDArray[np.floating]", share: float) -> float:
    """The least firmness, at least 0, that at most this share of pictures has."""
    highest = np.sort(human)[::-1][int(share * len(human))]
    return max(float(np.nextafter(highest, np.inf)), 0.0) if np.isfinite(highest) else 0.0


def with_rule(fitted: FittedParts, found: MixedRule | None) -> Parts:
    """The parts with the rule for mixed pictures, if it finds enough to be worth its false alarms."""
    worthwhile = found is not None and max(found.found.values(), default=0.0) >= LEAST_FOUND
    return replace(fitted.parts, mixed=found if worthwhile else None)


class HeldOutJudge:
    """Judges places of training pictures by heads that know neither their sources nor their generators.

    Args:
        extractor: How features are extracted.
        fitted: How parts are judged.
    """

    def __init__(self, extractor: Extractor, fitted: FittedParts):
        self._grid = WindowGrid(extractor.geometry.size)
        self._net = converted_backbone.load_windows(extractor, extractor.identity["weights"])
        self._by_fold = fitted.by_fold
        self._fold = dict(zip(fitted.pictures.sha256, fitted.folds.folds, strict=True))
        self._cache = PixelCache(extractor.geometry)
        self._cache.ensure(list(zip(fitted.pictures.sha256, fitted.pictures.file, strict=True)))

    def pixels(self, sha256: str) -> "Pixels":
        """The canonical pixels of a training picture, uint8 [S, S, 3]."""
        return self._cache.read(self._cache.rows([sha256]))[0]

    def margin(self, pixels: "Pixels", sha256: str) -> "NDArray[np.float32]":
        """The margin of the places of a picture [G, G], judged without the fold of the picture with this content."""
        parts = self._by_fold[self._fold[sha256]]
        ((kernel, bias),) = parts.layers
        windows = self._net.windows(pixels[None])
        margins = {
            side: (windows[str(side)][0] @ kernel + bias)[..., 0] / (found.temperature if found else 1)
            for side, found in parts.calibrations.items()
            if found or not any(parts.calibrations.values())
        }
        return self._grid.covered(margins).astype(np.float32)

    def firmness(self, pixels: "Pixels", sha256: str) -> float:
        """`MixedRegion.firmness`, judged likewise; -inf where there is no region."""
        found = region(self.margin(pixels, sha256))
        return -np.inf if found is None else found.firmness


def splices_of_folds(fitted: FittedParts, count: int) -> list[Splice]:
    """Up to `count` splices of two pictures of one fold, as many of each fold, with a control after each."""
    labels, sha256s, folds = fitted.pictures.label.to_numpy(), fitted.pictures.sha256.to_numpy(str), fitted.folds.folds
    drawn: list[Splice] = []
    for number in fitted.by_fold:
        ai, human = (list(sha256s[(folds == number) & (labels == CLASSES[side])]) for side in (AI, HUMAN))
        drawn += splices.draw(ai, human, count // len(fitted.by_fold), SEED)
    return drawn
