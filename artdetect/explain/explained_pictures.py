"""Explaining pictures in files: each once, and kept.

An explanation costs seconds and its figure little, so explanations are kept in data/cache by model, picture, settings
and code: a change in a figure draws again, and a run that was cut off goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from platform import node
from threading import get_ident
from typing import TYPE_CHECKING

from artdetect.core import digests, paths
from artdetect.core.errors import ArtifactError, DataError, PictureError
from artdetect.explain import explanation as explanations
from artdetect.pictures import images

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from artdetect.explain.config import ExplainConfig
    from artdetect.explain.explanation import Explanation
    from artdetect.explain.methods.explainer import Explainer
    from artdetect.model.detector import Detector
    from artdetect.pictures.pixel_cache import PixelCache

FIGURE_SIDE = 512  # pixels of the artwork in a figure
PACKAGES = ("keras", "numba", "numpy", "pillow", "saliency", "scikit-image", "scipy", "tensorflow")

Unreadable = PictureError | DataError


@dataclass(frozen=True)
class ExplainedPicture:
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
    detector: Detector, explainer: Explainer, config: ExplainConfig, subjects: Sequence[ExplainedPicture]
) -> Iterator[Explanation | Unreadable]:
    """The explanation of each subject in their order, from the cache, or computed and kept; holds a few at a time.

    Where a picture cannot be read any more, or changed, its error comes in the explanation's place.

    Raises:
        ModelError: The model's output or gradient is not finite.
    """
    from artdetect.pictures.pixel_cache import PixelCache

    placed = list(zip(_places(detector, explainer, subjects), subjects, strict=True))
    pixels = PixelCache(detector.geometry)
    for start in range(0, len(placed), explainer.at_once):
        group = placed[start : start + explainer.at_once]
        found: dict[Path, Explanation | Unreadable] = {}
        rows = {}
        for place, subject in group:
            try:
                found[place] = explanations.load(place)
                continue
            except ArtifactError:  # not there yet, or damaged
                pass
            try:
                rows[place] = _input(pixels, subject), subject.target, artwork(detector, config, subject)
            except (PictureError, DataError) as error:
                found[place] = error
        if rows:
            for place, one in zip(rows, explainer.stream(*zip(*rows.values(), strict=True)), strict=True):
                with replacing(place) as temporary:
                    explanations.save(one, temporary)
                found[place] = one
        yield from (found[place] for place, _ in group)


def inputs(detector: Detector, subjects: Iterable[ExplainedPicture]) -> Iterator[NDArray[np.float32]]:
    """The pictures as the model takes them, float32 [H, W, 3] each."""
    from artdetect.pictures.pixel_cache import PixelCache

    pixels = PixelCache(detector.geometry)
    return (_input(pixels, subject) for subject in subjects)


def _input(pixels: PixelCache, subject: ExplainedPicture) -> NDArray[np.float32]:
    return images.to_input(pixels.load(subject.sha256, subject.path))


def artwork(detector: Detector, config: ExplainConfig, subject: ExplainedPicture) -> Image.Image:
    """What the model sees of a picture at its own resolution, bounded, and no smaller than the model sees it.

    A smaller one would not be looked at for regions, and the model's square has not its proportions.
    """
    size = detector.geometry.size
    seen = images.artwork(subject.path, max(config.resolution, size), subject.sha256, detector.geometry.fit)
    enlarge = size / max(seen.size)
    return seen if enlarge <= 1 else seen.resize([max(1, round(side * enlarge)) for side in seen.size])


def shown(detector: Detector, subject: ExplainedPicture) -> Image.Image:
    """What the model sees of a picture, as figures show it."""
    return images.artwork(subject.path, FIGURE_SIDE, subject.sha256, detector.geometry.fit)


def draw(
    detector: Detector,
    subject: ExplainedPicture,
    found: Explanation,
    out: Path,
    scale: tuple[float, float] | None = None,
) -> None:
    """Write `<name>.png`, three panels, and `<name>.npz` to the folder `out`; `scale` as in `figures.panels`."""
    from artdetect.explain import figures

    seen = shown(detector, subject)
    with replacing(out / f"{subject.name}.npz") as temporary:
        explanations.save(found, temporary)
    with replacing(out / f"{subject.name}.png") as temporary:
        figures.panels(seen, found, subject.title, temporary, scale=scale)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write that becomes `path` if the block ends well, whole whenever the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{node()}-{os.getpid()}-{get_ident()}.tmp")  # machines may share a folder
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what `replacing` left below a folder where it was killed: by processes of this machine that are gone."""
    for leftover in folder.rglob(f".{node()}-*.tmp"):
        *_, writer, _ = leftover.name.rsplit("-", 2)
        try:
            os.kill(int(writer), 0)
        except ProcessLookupError:
            leftover.unlink(missing_ok=True)
        except (ValueError, PermissionError):  # not one of ours, or somebody else's process
            continue


def _places(detector: Detector, explainer: Explainer, subjects: Sequence[ExplainedPicture]) -> list[Path]:
    """Where each subject's explanation is kept: by model, picture, target, settings and code."""
    shared = {
        "model": detector.digest,
        "explainer": explainer.config,
        "code": digests.code_digests(type(explainer).__module__),
        "packages": digests.versions(PACKAGES),
    }
    recipes = (
        shared | {"picture": [subject.sha256, images.CACHE_VERSION], "target": subject.target} for subject in subjects
    )
    return [paths.cache() / "attributions" / f"{digests.value_digest(recipe)[:32]}.npz" for recipe in recipes]
