"""Explaining pictures in files: each once, and kept.

An explanation costs seconds and its figure little, so explanations are kept in data/cache by model, picture, settings
and code: a change in a figure draws again, and a run that was cut off goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect import digests, images, paths
from artdetect.explain import explanation as explanations

if TYPE_CHECKING:
    from PIL import Image

    from artdetect.detector import Detector
    from artdetect.explain.explainer import Explainer
    from artdetect.explain.explanation import Explanation
    from artdetect.explain.settings import ExplainConfig

FIGURE_SIDE = 512  # pixels of the artwork in a figure
PACKAGES = ("numba", "numpy", "pillow", "saliency", "scikit-image", "tensorflow")


@dataclass(frozen=True)
class Subject:
    """A picture to explain."""

    path: Path
    sha256: str  # of its content
    name: str  # of its figure and arrays, without suffix; may name a folder
    title: str  # over its figure
    target: int  # the class whose evidence is shown: the predicted one


def title(verdict: str, called: str, p_ai: float, label: str | None = None) -> str:
    """A figure's heading: the verdict, the probability of the class it leans to, and the truth where it is known."""
    shown = p_ai if called == "AI" else 1 - p_ai
    sure = "over 99.9%" if shown > 0.999 else f"{shown:.1%}"  # a net is never certain
    leans = verdict if verdict == called else f"{verdict}, {called}"
    return f"{leans} {sure}" + (f"\n(is {label})" if label else "")


def explain(
    detector: Detector, explainer: Explainer, config: ExplainConfig, subjects: Sequence[Subject]
) -> Iterator[Explanation]:
    """The explanation of each subject in their order, from the cache, or computed and kept; holds a few at a time.

    Raises:
        PictureError, DataError: A picture cannot be read any more, or changed.
        ModelError: The model's output or gradient is not finite.
    """
    places = _places(detector, explainer, subjects)
    absent = {place for place in places if not place.is_file()}
    missing = {place: subject for place, subject in zip(places, subjects, strict=True) if place in absent}
    computed = explainer.stream(
        inputs(detector, missing.values()),
        (subject.target for subject in missing.values()),
        (artwork(detector, config, subject) for subject in missing.values()),
    )
    for place in places:
        if place not in absent:
            yield explanations.load(place)
            continue
        absent.remove(place)  # another subject of the same content finds it kept
        found = next(computed)
        place.parent.mkdir(parents=True, exist_ok=True)
        explanations.save(found, temporary := place.with_suffix(f".{os.getpid()}.tmp"))
        temporary.replace(place)
        yield found


def inputs(detector: Detector, subjects: Iterable[Subject]) -> Iterator:
    """The pictures as the model takes them, float32 [H, W, 3] each."""
    from artdetect.pixels import Pixels

    pixels = Pixels(detector.geometry)
    return (images.to_input(pixels.load(subject.sha256, subject.path)) for subject in subjects)


def artwork(detector: Detector, config: ExplainConfig, subject: Subject) -> Image.Image:
    """What the model sees of a picture at its own resolution, bounded."""
    return images.artwork(subject.path, config.resolution, subject.sha256, detector.geometry.fit)


def draw(
    detector: Detector, subject: Subject, found: Explanation, out: Path, scale: tuple[float, float] | None = None
) -> None:
    """Write `<name>.png`, three panels, and `<name>.npz` to the folder `out`; `scale` as in `figures.panels`."""
    from artdetect.explain import figures

    explanations.save(found, _made(out / f"{subject.name}.npz"))
    seen = images.artwork(subject.path, FIGURE_SIDE, subject.sha256, detector.geometry.fit)
    figures.panels(seen, found, subject.title, out / f"{subject.name}.png", scale=scale)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _places(detector: Detector, explainer: Explainer, subjects: Sequence[Subject]) -> list[Path]:
    """Where each subject's explanation is kept: by model, picture, target, settings and code."""
    shared = {
        "model": detector.digest,
        "explainer": explainer.config,
        "code": digests.of_code(type(explainer).__module__),
        "packages": digests.versions(PACKAGES),
    }
    recipes = (shared | {"picture": [subject.sha256, images.RECIPE], "target": subject.target} for subject in subjects)
    return [paths.cache() / "attributions" / f"{digests.of_value(recipe)[:32]}.npz" for recipe in recipes]
