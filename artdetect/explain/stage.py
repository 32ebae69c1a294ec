"""explain: XRAI for chosen test pictures, or for any pictures with a model.

An attribution costs seconds and its figure nothing, so attributions are kept in data/cache by model, picture, settings
and code: a change in a figure draws again, and a run that was cut off goes on where it was.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from artdetect import digests, images, paths
from artdetect.images import Geometry
from artdetect.section import Section

if TYPE_CHECKING:
    from artdetect.detector import Detector
    from artdetect.explain.arrays import Explanation

FIGURE_SIDE = 512  # pixels of the artwork in a figure
Progress = Callable[[int, int], None]


class ExplainConfig(Section):
    """Section `explain`."""

    per_rule: int = Field(1, ge=0, le=50, description="pictures per class and rule: right, wrong, least sure")
    steps: int = Field(100, ge=2, le=1000, description="of integrated gradients, for each of XRAI's two baselines")
    algorithm: Literal["full", "fast"] = Field("full", description="XRAI's region ranking")
    batch_size: int = Field(50, ge=1, le=1000, description="gradients taken at once; bounds memory only")

    def settings(self) -> dict[str, int | str]:
        """What shapes a map."""
        return {"steps": self.steps, "algorithm": self.algorithm}


@dataclass(frozen=True)
class Subject:
    """A picture to explain."""

    path: Path
    sha256: str  # of its content
    name: str  # of its figure and arrays, without suffix
    title: str  # over its figure
    target: int  # the class whose evidence is shown: the predicted one


def run(
    config: ExplainConfig,
    train_folder: Path,
    evaluate_folder: Path,
    pictures: Path,
    out: Path,
    progress: Progress | None = None,
) -> None:
    """Write, for each chosen test picture, `<name>.png` (three panels) and `<name>.npz`, and `explanations.parquet`.

    The table has the chosen rows of the predictions with rule and name. `pictures` is the data set's root.
    """
    import pandas as pd

    from artdetect.detector import Detector
    from artdetect.explain.choose import choose
    from artdetect.labels import CLASSES

    detector = Detector.load(train_folder)
    predictions = pd.read_parquet(evaluate_folder / "predictions.parquet")
    chosen = choose(predictions, config.per_rule, detector.rule.threshold)
    chosen["name"] = [
        f"{number:02d}-{row.label}-{row.rule.replace(' ', '-')}" for number, row in enumerate(chosen.itertuples(), 1)
    ]
    subjects = [
        Subject(
            pictures / row.path,
            row.sha256,
            row.name,
            title(row.verdict, row.called, row.p_ai, row.label),
            CLASSES.index(row.called),
        )
        for row in chosen.itertuples(index=False)
    ]
    for number, _ in enumerate(explain(detector, subjects, config, out), 1):
        if progress:
            progress(number, len(subjects))
    chosen.to_parquet(out / "explanations.parquet", index=False)


def title(verdict: str, called: str, p_ai: float, label: str | None = None) -> str:
    """A figure's heading: the verdict, the probability of the class it leans to, and the truth where it is known."""
    shown = p_ai if called == "AI" else 1 - p_ai
    sure = "over 99.9%" if shown > 0.999 else f"{shown:.1%}"  # a net is never certain
    leans = verdict if verdict == called else f"{verdict}, {called}"
    return f"{leans} {sure}" + (f"\n(is {label})" if label else "")


def explain(detector: "Detector", subjects: Sequence[Subject], config: ExplainConfig, out: Path) -> Iterator[Subject]:
    """Write figure and arrays of each subject to `out`, one picture at a time; yields each when it is there."""
    from PIL import Image

    from artdetect.explain import arrays
    from artdetect.explain.figures import panels

    for subject, explanation in zip(subjects, _attributions(detector, subjects, config), strict=True):
        arrays.save(explanation, out / f"{subject.name}.npz")
        artwork = images.load(subject.path, Geometry(FIGURE_SIDE, detector.geometry.fit), subject.sha256)
        panels(Image.fromarray(artwork), explanation, subject.title, out / f"{subject.name}.png")
        yield subject


def _attributions(detector: "Detector", subjects: Sequence[Subject], config: ExplainConfig) -> Iterator["Explanation"]:
    """The explanation of each subject, from the cache, or computed and kept."""
    from artdetect.explain import arrays, xrai
    from artdetect.pixels import Pixels

    pixels = Pixels(detector.geometry)
    places = _places(detector, subjects, config)
    absent = {place for place in places if not place.is_file()}
    missing = [subject for subject, place in zip(subjects, places, strict=True) if place in absent]
    computed = xrai.explain_many(
        detector.classifier,
        (images.to_input(pixels.load(subject.sha256, subject.path)) for subject in missing),
        [subject.target for subject in missing],
        steps=config.steps,
        batch_size=config.batch_size,
        algorithm=config.algorithm,
    )
    for place in places:
        if place not in absent:
            yield arrays.load(place)
            continue
        explanation = next(computed)
        place.parent.mkdir(parents=True, exist_ok=True)
        arrays.save(explanation, temporary := place.with_suffix(f".{os.getpid()}.tmp"))
        temporary.replace(place)
        yield explanation


def _places(detector: "Detector", subjects: Sequence[Subject], config: ExplainConfig) -> list[Path]:
    """Where each subject's attribution is kept: by model, picture, target, settings and code."""
    shared = {
        "model": detector.digest,
        "settings": config.settings(),
        "code": digests.of_code("artdetect.explain.xrai"),
        "packages": digests.versions(("pillow", "saliency", "scikit-image", "tensorflow")),
    }
    recipes = (shared | {"picture": [subject.sha256, images.RECIPE], "target": subject.target} for subject in subjects)
    return [paths.cache() / "attributions" / f"{digests.of_value(recipe)[:32]}.npz" for recipe in recipes]
