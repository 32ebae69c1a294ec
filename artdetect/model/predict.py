"""Verdicts for files and folders: batched, one row a picture, and a bad file is a row with its error."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import compute
from artdetect.artifacts import registry, store
from artdetect.core.errors import ModelError, PictureError
from artdetect.pictures import images
from artdetect.pictures.images import Geometry
from artdetect.pictures.labels import AI, CLASSES

if TYPE_CHECKING:
    import numpy as np

    from artdetect.model.detector import Detector, Scores

CHUNK = 256  # pictures decoded before a forward pass


@dataclass(frozen=True)
class Verdict:
    """One picture's row: all but path and model are None where there is an `error`."""

    path: str  # absolute
    verdict: str | None  # AI, human or unsure
    p_ai: float | None
    model: str
    error: str | None
    called: str | None = None  # the class it leans to, also where it is unsure
    novelty: float | None = None  # distance from what the model learnt from; 1 is usual there
    generator: str | None = None  # if it is AI: the generator family it looks like

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV."""
        return asdict(self)


def find_model(path: Path | None = None) -> "Detector":
    """The detector at `path`, an artifact folder or a model file; if left out, see `default_model`.

    ModelError where there is none, or it is not one of ours.
    """
    from artdetect.model.detector import Detector

    return Detector.load(path or default_model())


def default_model() -> Path:
    """The artifact folder of the champion, or of the newest trained model where none was promoted.

    ModelError where there is none, or the champion is no longer whole; ArtifactError where the alias is damaged.
    """
    if champion := registry.champion_model():
        return champion
    newest = store.newest("train")
    if newest is None:
        raise ModelError("there is no model yet. Train one with `artdetect run`, or name one with --model")
    return newest.folder


def find_pictures(sources: Iterable[Path]) -> Iterator[Path]:
    """The files named, and the pictures in folders named, recursively, sorted; absolute paths.

    A file that was named counts whatever its name; one found in a folder must be a picture by its name.
    """
    for source in sources:
        source = source.absolute()
        if not source.is_dir():
            yield source
            continue
        unlisted: list[OSError] = []
        for folder, folders, names in os.walk(source, onerror=unlisted.append):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names) if images.is_candidate(name))
        yield from (Path(error.filename) for error in unlisted)  # rows with an error: nobody has looked inside


def predict(detector: "Detector", paths: Iterable[Path]) -> Iterator[Verdict]:
    """The verdict of each picture, in order; what comes next is decoded meanwhile."""
    waiting: list[tuple[Path | str, np.ndarray | str]] = []
    geometry = detector.geometry
    chunk, piece_size = geometry.fitting(CHUNK), geometry.fitting(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES)
    for piece, loaded in compute.chunks(partial(_load, geometry), paths, piece_size):
        waiting += zip(piece, loaded, strict=True)
        if len(waiting) >= chunk:
            yield from verdicts(detector, waiting)
            waiting = []
    yield from verdicts(detector, waiting)


def _load(geometry: Geometry, paths: Sequence[Path]) -> "list[np.ndarray | str]":
    """A worker's part: each picture's canonical pixels, or why there are none."""
    loaded: list[np.ndarray | str] = []
    for path in paths:
        try:
            loaded.append(images.load(path, geometry))
        except PictureError as error:
            loaded.append(str(error))
    return loaded


def verdicts(detector: "Detector", loaded: "Sequence[tuple[Path | str, np.ndarray | str]]") -> Iterator[Verdict]:
    """The verdicts of pictures by name, from their canonical pixels or from why there are none."""
    import numpy as np

    good = [pixels for _, pixels in loaded if not isinstance(pixels, str)]
    rows = iter(_judged(detector, detector.scores(np.stack(good))) if good else ())
    for path, pixels in loaded:
        if isinstance(pixels, str):
            yield Verdict(str(path), None, None, detector.id, pixels)
        else:
            yield Verdict(str(path), model=detector.id, error=None, **next(rows))


def _judged(detector: "Detector", scores: "Scores") -> Iterator[dict[str, Any]]:
    verdicts, called = detector.rule.verdicts(scores.p_ai, scores.novelty), detector.rule.called(scores.p_ai)
    families = None if scores.generators is None else detector.attributed(scores)[0]
    for row, p_ai in enumerate(scores.p_ai):
        yield {
            "verdict": str(verdicts[row]),
            "p_ai": float(p_ai),
            "called": str(called[row]),
            "novelty": None if scores.novelty is None else float(scores.novelty[row]),
            "generator": None if families is None or called[row] != CLASSES[AI] else str(families[row]),
        }
