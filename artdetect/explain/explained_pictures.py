"""Explains pictures in files, each once, and draws them.

An explanation takes seconds and its figure little, so explanations are cached in data/cache by model, picture, settings
and code. A change in a figure draws again, and an interrupted run continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import digests, paths
from artdetect.core.atomic import replacing
from artdetect.core.errors import ArtifactError, DataError, PictureError
from artdetect.explain import explanation as explanations
from artdetect.formatting.text import printable
from artdetect.model.decision import MIXED
from artdetect.pictures import images

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from artdetect.explain.config import ExplainConfig
    from artdetect.explain.explanation import Explanation
    from artdetect.explain.figures import Entry
    from artdetect.explain.methods.explainer import Explainer
    from artdetect.model.detector import Detector
    from artdetect.model.mixed import Box
    from artdetect.pictures.pixel_cache import PixelCache

FIGURE_SIDE = 512  # pixels of the artwork in a figure
PACKAGES = ("keras", "numba", "numpy", "onnxruntime", "pillow", "saliency", "scikit-image", "scipy", "tensorflow")

Unreadable = PictureError | DataError


@dataclass(frozen=True)
class ExplainedPicture:
    """A picture to explain.

    Args:
        path: The file.
        sha256: The digest of its content.
        name: The name of its figure and arrays, without suffix; may contain folders.
        title: The heading of its figure.
        target: The class that is explained.
        frame: What stands out of a picture of mixed origin, see `Verdict.region`; None for others.
    """

    path: Path
    sha256: str
    name: str
    title: str
    target: int
    frame: Box | None = None


def title(words: str, predicted: str, p_ai: float, label: str | None = None, crops: int = 0) -> str:
    """The heading of a figure: verdict, probability of the predicted class, and the truth where it is known.

    Maps explain the score of the whole picture, so the heading says where crops contributed to the verdict.

    Args:
        words: The verdict as people read it, see `Verdict.words`.
        predicted: The class on whose side of the threshold the picture lies, "AI" or "human".
        p_ai: The probability of AI.
        label: The true class.
        crops: Native crops that the model judged beside the whole.
    """
    probability = p_ai if predicted == "AI" else 1 - p_ai
    rounded = "over 99.9%" if probability > 0.999 else f"{probability:.1%}"  # a net is never certain
    notes = [f"is {label}"] if label else []
    if crops:
        notes.append(f"judged with {crops} unresized crops; the map is of the whole")
    if words.startswith(MIXED):  # the verdict is on parts
        first, notes = words, [f"as a whole {predicted} {rounded}", *notes]
    else:
        first = f"{words if words == predicted else f'{words}, {predicted}'} {rounded}"
    return first + (f"\n({'; '.join(notes)})" if notes else "")


def explain(
    detector: Detector, explainer: Explainer, config: ExplainConfig, pictures: Sequence[ExplainedPicture]
) -> Iterator[Explanation | Unreadable]:
    """Explain pictures, or load their explanations from the cache. Holds a few of them at a time.

    Args:
        detector: The detector whose verdicts are explained.
        explainer: The method, made for the model of `detector`.
        config: The settings.
        pictures: The pictures.

    Yields:
        For each picture, in order, its explanation; or the error, where it can no longer be read or has changed.

    Raises:
        ModelError: The model's output or gradient is not finite.
    """
    from artdetect.pictures.pixel_cache import PixelCache

    cached = list(zip(_cache_files(detector, explainer, pictures), pictures, strict=True))
    pixels = PixelCache(detector.geometry)
    for start in range(0, len(cached), explainer.group_size):
        group = cached[start : start + explainer.group_size]
        results: dict[Path, Explanation | Unreadable] = {}
        rows = {}
        for file, picture in group:
            try:
                results[file] = explanations.load(file)
                continue
            except ArtifactError:  # not there yet, or damaged
                pass
            try:
                rows[file] = _input(pixels, picture), picture.target, artwork(detector, explainer, config, picture)
            except (PictureError, DataError) as error:
                results[file] = error
        if rows:
            for file, explanation in zip(rows, explainer.stream(*zip(*rows.values(), strict=True)), strict=True):
                with replacing(file) as temporary:
                    explanations.save(explanation, temporary)
                results[file] = explanation
        yield from (results[file] for file, _ in group)


def inputs(detector: Detector, pictures: Iterable[ExplainedPicture]) -> Iterator[NDArray[np.float32]]:
    """The pictures as the model takes them, float32 [H, W, 3] each."""
    from artdetect.pictures.pixel_cache import PixelCache

    pixels = PixelCache(detector.geometry)
    return (_input(pixels, picture) for picture in pictures)


def _input(pixels: PixelCache, picture: ExplainedPicture) -> NDArray[np.float32]:
    return images.to_input(pixels.load(picture.sha256, picture.path))


def artwork(
    detector: Detector, explainer: Explainer, config: ExplainConfig, picture: ExplainedPicture
) -> Image.Image | None:
    """What the model sees of a picture at its own resolution, up to `config.resolution`; None where it plays no part.

    It is never smaller than the model's input: XRAI would segment that input instead, whose square has other
    proportions.

    Args:
        detector: The detector, for the geometry of its pictures.
        explainer: The method. XRAI as in the saliency package takes its regions from the model's picture.
        config: The settings; `resolution` is the most pixels of the longer side, unless the model's input has more.
        picture: The picture.

    Raises:
        PictureError: The picture cannot be read.
        DataError: The content of the file has changed.
    """
    if getattr(explainer.settings, "compat", None):
        return None
    size = detector.geometry.size
    original = images.artwork(picture.path, max(config.resolution, size), picture.sha256, detector.geometry.fit)
    enlarge = size / max(original.size)
    return original if enlarge <= 1 else original.resize([max(1, round(side * enlarge)) for side in original.size])


def entry(detector: Detector, picture: ExplainedPicture, explanation: Explanation) -> Entry:
    """A picture as figures show it: what the model sees of it, its explanation, title, file name and frame."""
    from artdetect.explain.figures import Entry

    shown = images.artwork(picture.path, FIGURE_SIDE, picture.sha256, detector.geometry.fit)
    return Entry(shown, explanation, picture.title, printable(picture.path.name), picture.frame)


def draw(
    detector: Detector,
    picture: ExplainedPicture,
    explanation: Explanation,
    out: Path,
    scale: float | None = None,
) -> None:
    """Write the figure of a picture, `<name>.png`, and its arrays, `<name>.npz`.

    Args:
        detector: The detector whose verdict is explained.
        picture: The picture.
        explanation: The picture's explanation.
        out: The folder to write to.
        scale: As in `figures.panels`.
    """
    from artdetect.explain import figures

    shown = entry(detector, picture, explanation)
    with replacing(out / f"{picture.name}.npz") as temporary:
        explanations.save(explanation, temporary)
    with replacing(out / f"{picture.name}.png") as temporary:
        note = printable(" ".join(detector.notice.split()))
        figures.panels(shown, temporary, scale=scale, note=note)


def _cache_files(detector: Detector, explainer: Explainer, pictures: Sequence[ExplainedPicture]) -> list[Path]:
    """Where the explanation of each picture is cached: by model, picture, target, settings and code."""
    shared = {
        "model": detector.digest,
        "explainer": explainer.config,
        "code": digests.code_digests(type(explainer).__module__),
        "packages": digests.versions(PACKAGES),
    }
    recipes = (
        shared | {"picture": [picture.sha256, images.CACHE_VERSION], "target": picture.target} for picture in pictures
    )
    return [paths.cache() / "attributions" / f"{digests.value_digest(recipe)[:32]}.npz" for recipe in recipes]
