"""Verdicts for files and folders: one row per picture. A picture that cannot be read gets a row with its error."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import compute
from artdetect.core.errors import PictureError
from artdetect.model import choice
from artdetect.model.decision import IN_PARTS, in_words
from artdetect.pictures import file_types, images, picture_views
from artdetect.pictures.labels import AI, CLASSES
from artdetect.pictures.picture_views import PictureViews

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artdetect.model.detector import Detector
    from artdetect.model.evidence import Evidence
    from artdetect.model.mixed import Box, MixedRegion
    from artdetect.model.scores import Scores

Loaded = tuple[Path | str, PictureViews | str]  # a picture's name, and what the model judges of it or why it cannot
CHUNK = 32  # pictures that a worker judges at a time: verdicts appear soon


@dataclass(frozen=True)
class Verdict:
    """The row of one picture. With an `error`, everything else but path and model is None."""

    path: str  # as it was given
    verdict: str | None  # AI, human, unsure or mixed
    reason: str | None  # why, in words; see `artdetect.model.decision.REASONS`
    p_ai: float | None
    model: str
    error: str | None
    predicted: str | None = None  # the likelier class by the threshold, also where the verdict is unsure
    novelty: float | None = None  # distance from the training data, on average 1 within it
    generator: str | None = None  # the likeliest generator family, where AI is predicted
    native_crops: int | None = None  # unresized crops that were judged beside the whole, 0 for all but large pictures
    ai_region: tuple[float, float, float, float] | None = None  # of a mixed one: left, top, right, bottom of what says
    # AI, as shares of the sides of the square that the model sees
    ai_area: float | None = None  # and its share of that square
    human_region: tuple[float, float, float, float] | None = None  # the same of what says human

    @property
    def words(self) -> str:
        """The verdict as people read it in a line; of a picture of mixed origin also what stands out, and where."""
        from artdetect.model import mixed

        of = self._mixed_of()
        return f"{self.verdict}: {mixed.in_words(*of)}" if of else in_words(self.verdict, self.reason)

    @property
    def standing_out(self) -> "tuple[str, Box] | None":
        """What stands out of a picture of mixed origin, "AI" or "human", and its box; None for others."""
        from artdetect.model import mixed

        of = self._mixed_of()
        return mixed.standing_out(*of) if of else None

    @property
    def region(self) -> "Box | None":
        """The box of `standing_out`: `ai_region` or `human_region`."""
        return self.standing_out[1] if self.standing_out else None

    def _mixed_of(self) -> "tuple[Box, Box, float] | None":
        """What `artdetect.model.mixed` says a picture of mixed origin is made of; None for others."""
        if self.ai_region is None or self.human_region is None or self.ai_area is None:
            return None
        return self.ai_region, self.human_region, self.ai_area

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON and CSV show it."""
        return asdict(self)


def find_model(path: Path | str | None = None) -> "Detector":
    """The detector that `choice.choose` chooses: at `path`, an artifact folder or a model file, or the default one.

    Raises:
        ModelError: There is no such model, it is not a model file of artdetect, or it is a demonstration that was not
            named.
        ArtifactError: The file of the champion is damaged.
    """
    from artdetect.model.detector import Detector

    return Detector.load(choice.choose(None if path is None else Path(path)).path)


def find_pictures(sources: Iterable[Path | str]) -> Iterator[Path]:
    """The given files, and the pictures below the given folders, sorted; relative where the source is.

    A given file counts whatever its name. A file in a folder counts if its name is that of a picture.
    """
    for source in map(Path, sources):
        if not source.is_dir():
            yield source
            continue
        unlisted: list[OSError] = []
        for folder, folders, names in os.walk(source, onerror=unlisted.append):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names) if file_types.is_candidate(name))
        yield from (Path(error.filename) for error in unlisted)  # unreadable folders: each becomes a row with an error


def predict(detector: "Detector", paths: Iterable[Path | str]) -> Iterator[Verdict]:
    """The verdict of each picture, in order. Pictures are per-picture work, see `artdetect.compute`."""
    part_size = detector.geometry.max_batch(CHUNK, compute.WORKER_CHUNK_BYTES // (1 + detector.native_crops))
    for _, judged in compute.chunks(partial(_judge, detector), map(Path, paths), part_size):
        yield from judged


def _judge(detector: "Detector", paths: Sequence[Path]) -> list[Verdict]:
    """Runs in a worker: the verdict of each picture."""
    return list(verdicts(detector, [(path, load(detector, path)) for path in paths]))


def load(detector: "Detector", source: Path | bytes) -> PictureViews | str:
    """What a model judges of a picture, a file or its content, or the reason why it cannot be read."""
    try:
        return picture_views.load(source, detector.geometry, detector.native_crops)
    except PictureError as error:
        return str(error)


def verdicts(detector: "Detector", loaded: Sequence[Loaded]) -> Iterator[Verdict]:
    """The verdicts of pictures.

    Args:
        detector: The model.
        loaded: Pairs of a picture's name and what the model judges of it, or the reason why it cannot be read.
    """
    if detector.parts and detector.parts.mixed:
        yield from (verdict for verdict, _ in verdicts_with_evidence(detector, loaded))
        return
    good = _readable(loaded)
    yield from _in_order(detector, loaded, _rows(detector, good, detector.scores_of(good)) if good else iter(()))


def verdicts_with_evidence(
    detector: "Detector", loaded: Sequence[Loaded]
) -> "Iterator[tuple[Verdict, Evidence | None]]":
    """The verdicts of pictures, and the evidence for each, of one picture (N = 1); None for an unreadable one.

    Both come from one forward pass. Arguments as for `verdicts`.
    """
    good = _readable(loaded)
    if not good:
        yield from ((verdict, None) for verdict in _in_order(detector, loaded, iter(())))
        return
    scores, evidence = detector.scores_with_evidence(good)
    each = map(evidence.of, range(len(good)))
    for verdict in _in_order(detector, loaded, _rows(detector, good, scores, evidence.margin)):
        yield verdict, None if verdict.error else next(each)


def unreadable(path: Path | str, detector: "Detector", reason: str) -> Verdict:
    """The row of a picture that cannot be read."""
    return Verdict(str(path), None, None, None, detector.id, reason)


def _readable(loaded: Sequence[Loaded]) -> list[PictureViews]:
    return [views for _, views in loaded if not isinstance(views, str)]


def _in_order(detector: "Detector", loaded: Sequence[Loaded], rows: Iterator[dict[str, Any]]) -> Iterator[Verdict]:
    """A verdict for each picture, from the rows of those that can be read."""
    for path, views in loaded:
        if isinstance(views, str):
            yield unreadable(path, detector, views)
        else:
            yield Verdict(str(path), model=detector.id, error=None, **next(rows))


def _rows(
    detector: "Detector",
    pictures: Sequence[PictureViews],
    scores: "Scores",
    margins: "NDArray[Any] | None" = None,
) -> Iterator[dict[str, Any]]:
    """The columns that depend on what the model judges.

    Args:
        detector: The model.
        pictures: The pictures, N.
        scores: Their scores.
        margins: The evidence in them, [N, G, G], for verdicts on parts.
    """
    import numpy as np

    rule = detector.rule
    by_parts = detector.parts and detector.parts.mixed
    regions: list[MixedRegion | None] = [None] * len(pictures)
    if by_parts and margins is not None:
        regions = [by_parts.region(margin) for margin in margins]
    sides = np.array([views.side for views in pictures])
    contrasts = np.array([images.contrast(views.whole) for views in pictures])
    mixed = np.array([region is not None for region in regions])
    reasons, predicted = rule.reasons(scores.p_ai, scores.novelty, sides, contrasts, mixed), rule.predicted(scores.p_ai)
    verdicts = rule.verdicts(scores.p_ai, reasons)
    families = None if scores.generators is None else detector.predicted_generator(scores)[0]
    for row, p_ai in enumerate(scores.p_ai):
        region = regions[row] if reasons[row] == IN_PARTS else None
        yield {
            "verdict": str(verdicts[row]),
            "reason": str(reasons[row]),
            "p_ai": float(p_ai),
            "predicted": str(predicted[row]),
            "novelty": None if scores.novelty is None else float(scores.novelty[row]),
            "generator": None if families is None or predicted[row] != CLASSES[AI] else str(families[row]),
            "native_crops": len(pictures[row].crops),
            "ai_region": region and region.box,
            "ai_area": region and region.area,
            "human_region": region and region.human_box,
        }
