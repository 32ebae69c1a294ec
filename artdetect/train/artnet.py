"""`artnet`: a frozen pretrained backbone, and a small head on the statistics of its activations.

Features come from the feature cache, so retraining costs the forward passes of new pictures and seconds for the head.
The saved model maps a picture to the probability of AI, its generator family, novelty and embedding.
"""

import math
import operator
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artdetect.artifacts import file_names
from artdetect.core import paths
from artdetect.core.errors import DataError
from artdetect.core.progress import Progress, with_label
from artdetect.model import artnet_model
from artdetect.model.extractor import Extractor
from artdetect.model.feature_cache import FeatureCache, clean_view
from artdetect.pictures.images import Geometry
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.pictures.source_folds import source_folds, source_weights
from artdetect.train import heads, mixed, out_of_source, parts
from artdetect.train.calibration import HeldOutPredictions, fit_calibration
from artdetect.train.heads import FittedHead, Head
from artdetect.train.inputs import TrainingInputs
from artdetect.train.result import TrainingResult

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.train.config import TrainConfig

NEIGHBOURS = file_names.NEIGHBOURS  # sha256 and embedding of the training pictures
SIZE = 224  # side of the canonical square, in pixels
CHUNK = 4096  # pictures whose features are in memory at a time
IN_MEMORY = 2**28  # bytes of embeddings up to which they are kept in memory
PENALTIES: dict[str, tuple[float, ...]] = {"linear": (1e-3, 1e-2, 1e-1, 1.0), "mlp": (1e-2, 1e-1)}
MIN_PER_GENERATOR = 20  # training pictures that a generator needs to be a family
FAMILY_PENALTY = 1e-2


def train(inputs: TrainingInputs) -> TrainingResult:
    """Select and fit a head, see `artdetect.train.run`. There are no epochs to report and nothing to resume."""
    config, train, validation = inputs.config, inputs.train, inputs.validation
    extractor = make_extractor(config)
    views = cached_features(extractor, config.degraded_views, train, validation, inputs.progress, config.native_crops)
    fitted = fit(config, views, train, validation)
    judged_parts = parts.fit(config, extractor, train, inputs.progress) if config.part_pictures else None
    mixed_rule = mixed.fit(judged_parts, extractor, inputs.progress) if judged_parts else None

    def write_files(out: Path) -> None:
        np.savez(out / NEIGHBOURS, sha256=train.sha256.to_numpy("S64"), embedding=fitted.train)
        if fitted.precision is not None:
            np.savez(out / file_names.PRECISION, precision=fitted.precision, pictures=len(train))

    return TrainingResult(
        build_model=lambda calibration: artnet_model.assemble(extractor, fitted, calibration, config.test_time_views),
        geometry=extractor.geometry,
        held_out=fitted.held_out,
        metrics={
            "head": fitted.candidates[0]["head"],
            "candidates": fitted.candidates,
            "runtime": views[0].runtime,
        }
        | ({"parts": judged_parts.measured | {"mixed": mixed_rule and asdict(mixed_rule)}} if judged_parts else {}),
        families=fitted.families,
        write_files=write_files,
        out_of_source=fitted.out_of_source,
        validation=fitted.validation,
        card=artnet_model.description(extractor, fitted, config.test_time_views),
        native_crops=config.native_crops,
        parts=mixed.with_rule(judged_parts, mixed_rule) if judged_parts else None,
    )


def make_extractor(config: "TrainConfig") -> Extractor:
    """The feature extractor that the config describes."""
    return Extractor(config.backbone, config.feature_blocks, Geometry(config.size or SIZE, "crop"), config.weights)


def cached_features(
    extractor: Extractor,
    degraded_views: int,
    train: "pd.DataFrame",
    validation: "pd.DataFrame",
    progress: Progress | None,
    native_crops: int = 0,
) -> list[FeatureCache]:
    """The features of all pictures' clean view, then of training pictures' degraded ones. Missing ones are computed.

    Args:
        extractor: How features are extracted.
        degraded_views: Number of degraded views.
        train: The training pictures, with columns sha256 and file.
        validation: The validation pictures, likewise.
        progress: Called with (done, all, label).
        native_crops: Crops of large pictures that count half in the clean view, see `clean_view`.
    """
    views = [
        clean_view(extractor, native_crops),
        *(FeatureCache(extractor, number) for number in range(1, degraded_views + 1)),
    ]
    pictures, judged = (list(zip(table.sha256, table.file, strict=True)) for table in (train, validation))
    for number, view in enumerate(views):
        label = "features" if number == 0 else f"features of degraded view {number} of {degraded_views}"
        view.ensure(pictures if number else pictures + judged, with_label(progress, label))
    return views


def fit(
    config: "TrainConfig",
    views: Sequence[FeatureCache],
    train: "pd.DataFrame",
    validation: "pd.DataFrame",
    judged_views: Sequence[FeatureCache] | None = None,
) -> FittedHead:
    """Select and fit the head on cached features.

    Everything that is chosen is chosen on pictures of sources that the judging head does not know.

    Args:
        config: Section `train`.
        views: The features of each view, the clean one first.
        train: The training pictures, with columns sha256, label, source, generator, group and weight.
        validation: The validation pictures, likewise. Nothing is chosen on them.
        judged_views: The features of the views in which held-out pictures are judged, the clean one first; by default
            `views`.
    """
    y = _classes(train)
    weights = train.weight.to_numpy(np.float32)
    folds = source_folds(train)
    parts = [train.iloc[np.flatnonzero(folds.folds == number)] for number in folds.numbers]
    shift = views[0].read(list(train.sha256[:CHUNK])).mean(axis=0)
    moments = [heads.Moments.of(_chunks(views, part), shift) for part in parts]

    kinds: tuple[heads.Kind, ...] = ("linear", "mlp") if config.head == "best" else (config.head,)
    trials = [(kind, penalty) for kind in kinds for penalty in PENALTIES[kind]]
    judged_views = judged_views or views
    logits = np.full((len(trials), len(judged_views), len(train)), np.nan)
    novelty = np.full((len(judged_views), len(train)), np.nan)
    for number in folds.numbers:
        rest, held_out = folds.split(number)
        if not held_out.size or len(set(y[rest])) < len(CLASSES):
            continue
        copies = np.setdiff1d(np.flatnonzero(folds.folds != number), rest)
        others = _sum(moments, leaving_out=number) - heads.Moments.of(_chunks(views, train.iloc[copies]), shift)
        space = _Space(views, train.iloc[rest], others, config.pca_components)
        rest_weights = heads.balanced_weights(y[rest], weights[rest])
        x = space.embedded(judged_views, train.iloc[held_out])
        novelty[:, held_out] = space.novelty(x)
        for trial, (kind, penalty) in enumerate(trials):
            head = space.fit(y[rest], rest_weights, kind, penalty, config.seed)
            logits[trial][:, held_out] = [_ai_logits(head, view) for view in x]
    judged = np.isfinite(novelty[0])
    if len(set(y[judged])) < len(CLASSES):
        raise DataError(
            "training needs at least two pictures of each class that are no near-duplicates of each other, so that "
            "some can be held out. Add pictures"
        )
    known, folds, known_y = train[judged].reset_index(drop=True), folds.part(judged), y[judged]
    known_weights = source_weights(folds.groups, known_y)
    tried = [HeldOutPredictions(each[:, judged], known_y, known_weights, novelty[:, judged]) for each in logits]
    losses = [each.log_loss(fit_calibration(each)) for each in tried]
    order = sorted(range(len(trials)), key=losses.__getitem__)
    kind, penalty = trials[order[0]]
    held_out_predictions = tried[order[0]]

    space = _Space(views, train, _sum(moments), config.pca_components)
    head = space.fit(y, weights, kind, penalty, config.seed)
    families, family_head = _families(space.x, train)
    val_x = space.embedded(views[:1], validation)[0]
    return FittedHead(
        embedding=space.embedding,
        head=head,
        families=families,
        family_head=family_head,
        candidates=[
            {"head": trials[trial][0], "penalty": trials[trial][1], "out_of_source_loss": round(losses[trial], 6)}
            for trial in order
        ],
        train=space.x[0].astype(np.float16),
        novelty_scale=space.scale,
        held_out=held_out_predictions,
        out_of_source=out_of_source.cross_calibrated(
            known, folds, held_out_predictions, config.threshold, config.abstain
        ),
        validation=HeldOutPredictions(
            _ai_logits(head, val_x)[None],
            _classes(validation),
            validation.weight.to_numpy(np.float32),
            space.novelty(val_x)[None],
        ),
        precision=space.precision(y, weights, head, penalty) if kind == "linear" else None,
    )


class _Space:
    """The embedding of some training pictures, and heads fitted in it.

    Args:
        views: The features of each view.
        pictures: The training pictures.
        moments: The moments of their features.
        components: Number of principal components.
    """

    def __init__(
        self, views: Sequence[FeatureCache], pictures: "pd.DataFrame", moments: heads.Moments, components: int
    ):
        self.embedding = heads.fit_embedding(moments, components)
        self.x = self.embedded(views, pictures)  # [V, N, K]
        squares = sum(float(np.square(part).sum(dtype=np.float64)) for _, part in heads.chunks(self._rows))
        self.scale = squares / self.x.size or 1.0  # 0 where all features are constant

    @property
    def _rows(self) -> np.ndarray:
        return self.x.reshape(-1, self.x.shape[-1])

    def embedded(self, views: Sequence[FeatureCache], pictures: "pd.DataFrame") -> np.ndarray:
        """The embeddings of V views of n pictures, float32 [V, n, K], see `_scratch`."""
        found = _scratch((len(views), len(pictures), self.embedding.matrix.shape[1]))
        rows, start = found.reshape(-1, found.shape[-1]), 0
        for chunk in _chunks(views, pictures):
            rows[start : start + len(chunk)] = self.embedding(chunk)
            start += len(chunk)
        return found

    def novelty(self, x: np.ndarray) -> np.ndarray:
        """The novelty scores [...] of embeddings [..., K], 1 on average for the training pictures."""
        found = [np.square(part).mean(axis=-1) for _, part in heads.chunks(x.reshape(-1, x.shape[-1]))]
        return np.concatenate(found).reshape(x.shape[:-1]) / self.scale

    def fit(self, y: np.ndarray, weights: np.ndarray, kind: heads.Kind, penalty: float, seed: int) -> Head:
        """A head fitted on all views of the training pictures, with classes int [N] and weights float [N]."""
        repeats = len(self.x)
        return heads.fit(self._rows, np.tile(y, repeats), np.tile(weights, repeats), kind, penalty, seed)

    def precision(self, y: np.ndarray, weights: np.ndarray, head: Head, penalty: float) -> np.ndarray:
        """`heads.precision` of a linear head that `fit` returned."""
        repeats = len(self.x)
        return heads.precision(self._rows, np.tile(y, repeats), np.tile(weights, repeats), head, penalty)


def _scratch(shape: tuple[int, ...]) -> np.ndarray:
    """An array float32 of this shape, to be filled: in memory, or in a file without a name if it is large."""
    if math.prod(shape) * 4 <= IN_MEMORY:
        return np.empty(shape, np.float32)
    folder = paths.cache()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:  # gone with the array, also after a kill
        return np.memmap(file, np.float32, "w+", shape=shape)


def _sum(moments: Sequence[heads.Moments], leaving_out: int | None = None) -> heads.Moments:
    """The moments of all parts but one."""
    return reduce(operator.add, (part for number, part in enumerate(moments) if number != leaving_out))


def _chunks(views: Sequence[FeatureCache], table: "pd.DataFrame") -> Iterator[np.ndarray]:
    sha256s = list(table.sha256)
    for view in views:
        for start in range(0, len(sha256s), CHUNK):
            yield view.read(sha256s[start : start + CHUNK])


def _classes(table: "pd.DataFrame") -> np.ndarray:
    return table.label.map(CLASSES.index).to_numpy(np.int64)


def _ai_logits(head: Head, x: np.ndarray) -> np.ndarray:
    """The logit of AI minus the logit of human for embeddings [N, K]: float [N]."""
    logits = head(x)
    return logits[:, AI] - logits[:, HUMAN]


def _families(x: np.ndarray, train: "pd.DataFrame") -> tuple[tuple[str, ...], Head | None]:
    """The generators with enough training pictures, and the head that distinguishes them; none if there is just one."""
    counts = train.generator[train.label == CLASSES[AI]].value_counts()
    families = tuple(sorted(counts.index[counts >= MIN_PER_GENERATOR]))
    if len(families) < 2:
        return (), None
    numbers = {family: number for number, family in enumerate(families)}
    known = np.tile(train.generator.isin(families).to_numpy(), len(x))
    classes = np.tile(train.generator.map(numbers).fillna(0).to_numpy(np.int64), len(x))
    weights = heads.balanced_weights(classes, known.astype(np.float32))  # pictures of other generators do not count
    head = heads.fit(x.reshape(-1, x.shape[-1]), classes, weights, "linear", FAMILY_PENALTY, 0)
    return families, head
