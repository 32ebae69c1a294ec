"""Fits when a picture is called mixed: as firmly as it takes for few pictures of one origin to be called so.

All pictures are judged by heads that know neither their sources nor their generators: human-made ones for the false
alarms, and splices of two pictures of one fold for what is found.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from artdetect.core.progress import Progress, with_label
from artdetect.model import evidence_graph
from artdetect.model.compiled import CompiledModel
from artdetect.model.feature_cache import Extractor
from artdetect.model.mixed import MixedRule, region
from artdetect.model.parts import Parts
from artdetect.model.window_cache import window_statistics
from artdetect.pictures import content_draw, images
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.pictures.pixel_cache import PixelCache
from artdetect.train.parts import FittedParts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

FALSE_ALARMS = 0.01  # of human-made pictures of one origin
MIN_HUMAN = 300  # of them: with fewer, a share of 1 % cannot be told from several
MAX_HUMAN, SPLICES = 1000, 200
LEAST_FOUND = 0.1  # of the splices of one size: a rule that finds less is not worth its false alarms
AREAS = (0.05, 0.12, 0.25, 0.5)  # borders between sizes of spliced regions, as shares of a picture


def fit(fitted: FittedParts, extractor: Extractor, progress: Progress | None = None) -> MixedRule | None:
    """The rule; None where there are too few human-made pictures to state its false alarms, or nothing is found.

    Args:
        fitted: How parts are judged.
        extractor: How features are extracted.
        progress: Called with (done, all, label).
    """
    labels, sha256s = fitted.pictures.label.to_numpy(), fitted.pictures.sha256.to_numpy(str)
    known = np.isin(fitted.folds.folds, list(fitted.by_fold))
    human, ai = (np.flatnonzero(known & (labels == CLASSES[number])) for number in (HUMAN, AI))
    if len(human) < MIN_HUMAN or not any(fitted.parts.calibrations.values()):
        return None
    human = human[content_draw.sample("mixed", list(sha256s[human]), MAX_HUMAN)]
    pixels = _Pixels(extractor, fitted)
    judge = _Judge(extractor, fitted.by_fold)
    drawn = list(_splices(fitted, ai, human))
    done = with_label(progress, "pictures of mixed origin")
    alarms, found = np.empty(len(human)), np.empty(len(drawn))
    for place, row in enumerate(human.tolist()):
        alarms[place] = judge.firmness(pixels(row), fitted.folds.folds[row])
        done(place + 1, len(human) + len(drawn))
    for place, (base, donor, mask, feather) in enumerate(drawn):
        spliced = _spliced(pixels(base), pixels(donor), mask, feather)
        found[place] = judge.firmness(spliced, fitted.folds.folds[base])
        done(len(human) + place + 1, len(human) + len(drawn))
    fitted_rule = rule(alarms, found, np.array([mask.mean() for _, _, mask, _ in drawn]))
    return fitted_rule if max(fitted_rule.found.values(), default=0) >= LEAST_FOUND else None


def rule(human: "NDArray[np.floating]", spliced: "NDArray[np.floating]", areas: "NDArray[np.floating]") -> MixedRule:
    """The least firmness that calls at most a share `FALSE_ALARMS` of human-made pictures mixed.

    Args:
        human: `MixedRegion.firmness` of pictures of one origin, -inf where there is no region, [N].
        spliced: The same of spliced pictures, [M].
        areas: The share of the area of these that is pasted, [M].
    """
    from scipy.stats import beta

    allowed = int(FALSE_ALARMS * len(human))
    highest = np.sort(human)[::-1]
    firmness = max(float(np.nextafter(highest[allowed], np.inf)), 0.0) if np.isfinite(highest[allowed]) else 0.0
    alarms = int((human >= firmness).sum())
    found = {}
    for smallest, largest in zip(AREAS, (*AREAS[1:], 1.0), strict=True):
        inside = (areas >= smallest) & (areas < largest)
        if inside.any():
            found[str(smallest)] = float((spliced[inside] >= firmness).mean())
    upper = float(beta.ppf(0.95, alarms + 1, len(human) - alarms))  # Clopper and Pearson
    return MixedRule(firmness, alarms / len(human), upper, len(human), found, len(spliced))


def with_rule(fitted: FittedParts, found: MixedRule | None) -> Parts:
    """The parts with the rule for mixed pictures."""
    return replace(fitted.parts, mixed=found)


class _Pixels:
    """The canonical pixels of training pictures by row, uint8 [S, S, 3]."""

    def __init__(self, extractor: Extractor, fitted: FittedParts):
        self._cache = PixelCache(extractor.geometry)
        self._cache.ensure(list(zip(fitted.pictures.sha256, fitted.pictures.file, strict=True)))
        self._rows = self._cache.rows(list(fitted.pictures.sha256))

    def __call__(self, row: int) -> "Pixels":
        return self._cache.read(self._rows[[row]])[0]


class _Judge:
    """How firmly a picture is of two origins, by the heads of each fold."""

    def __init__(self, extractor: Extractor, by_fold: dict[int, Parts]):
        import keras

        size = extractor.geometry.size
        picture, statistics = window_statistics(extractor.build(), size)
        maps = {
            str(number): evidence_graph.margins(parts.layers, parts, statistics)[1] for number, parts in by_fold.items()
        }
        self._maps = CompiledModel(
            partial(keras.Model(picture, maps), training=False), (size, size, 3), images.to_input
        )

    def firmness(self, pixels: "Pixels", fold: int) -> float:
        """`MixedRegion.firmness`, judged by the heads fitted without a fold; -inf where there is no region."""
        found = region(self._maps(pixels[None])[str(fold)][0])
        return -np.inf if found is None else found.firmness


def _splices(
    fitted: FittedParts, ai: "NDArray[Any]", human: "NDArray[Any]"
) -> "Iterator[tuple[int, int, NDArray[np.bool_], bool]]":
    """Base, donor, region [S, S] and whether its edge is soft, of splices in both directions in turn."""
    sha256s, folds = fitted.pictures.sha256.to_numpy(str), fitted.folds.folds
    for number in range(SPLICES):
        bases, donors = (human, ai) if number % 2 else (ai, human)
        if not len(bases):
            return
        base = bases[number % len(bases)]
        partners = donors[folds[donors] == folds[base]]
        if not len(partners):
            continue
        draw = content_draw.generator(f"splice {number} of", sha256s[base])
        yield base, draw.choice(partners), _rectangle(draw), bool(draw.random() < 0.5)


def _rectangle(draw: np.random.Generator, side: int = 224) -> "NDArray[np.bool_]":
    """A rectangle anywhere in a square, of 5 to 50 % of its area."""
    area = np.exp(draw.uniform(np.log(AREAS[0]), np.log(AREAS[-1])))
    height = min(side, round(side * np.sqrt(area * np.exp(draw.uniform(-0.5, 0.5)))))
    width = min(side, round(area * side * side / height))
    top, left = draw.integers(0, side - height + 1), draw.integers(0, side - width + 1)
    mask = np.zeros((side, side), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def _spliced(base: "Pixels", donor: "Pixels", mask: "NDArray[np.bool_]", feather: bool) -> "Pixels":
    """`base` with the region of `donor`."""
    side = len(base)
    places = np.arange(side) * len(mask) // side
    share = mask[np.ix_(places, places)].astype(np.float32)
    if feather:
        share = gaussian_filter(share, side / 56)
    return np.rint(base * (1 - share[..., None]) + donor * share[..., None]).astype(np.uint8)
