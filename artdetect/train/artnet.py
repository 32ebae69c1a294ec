"""`artnet`: a frozen pretrained backbone, and a small head that judges the statistics of its activations.

Features come from the feature cache, so training again costs the forward passes of new pictures and seconds for the
head. What is saved is one Keras model from a picture to its verdict, generator family, novelty and embedding.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.core.progress import Progress, with_label
from artdetect.model.feature_cache import Extractor, FeatureCache
from artdetect.pictures.images import Geometry
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.stats import confidence_intervals
from artdetect.train import artnet_model, heads
from artdetect.train.calibration import ValidationPredictions
from artdetect.train.heads import Embedding, FittedHead, Head
from artdetect.train.result import TrainingResult
from artdetect.train.training_loop import Report

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.train.config import TrainConfig

NEIGHBOURS = "neighbours.npz"  # sha256 and embedding of the training pictures
SIZE = 224  # of the canonical square, in pixels
CHUNK = 4096  # features in memory at a time
CANDIDATES: dict[str, tuple[float, ...]] = {"linear": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "mlp": (1e-2, 1e-1)}  # penalties
FOLDS = 5  # parts of the training pictures, each judged by a head that saw the others, to calibrate on
MIN_PER_FOLD = 20  # training pictures that make a generator a family of its own, and worth leaving out
FAMILY_PENALTY = 1e-2


def train(
    config: "TrainConfig",
    train: "pd.DataFrame",
    validation: "pd.DataFrame",
    work: Path,
    report: Report | None,
    progress: Progress | None,
) -> TrainingResult:
    """Choose and fit a head; see `artdetect.train.run`. There are no steps to report and nothing to resume."""
    extractor = extractor_of(config)
    fitted = fit(config, features(extractor, config.views, train, validation, progress), train, validation)

    def write(out: Path) -> None:
        np.savez(out / NEIGHBOURS, sha256=train.sha256.to_numpy("S64"), embedding=fitted.train)

    best = fitted.candidates[0]
    return TrainingResult(
        lambda temperature: artnet_model.assemble(extractor, fitted, temperature, config.average),
        extractor.geometry,
        fitted.validation,
        {
            "head": best["head"],
            "val_loss": best["val_loss"],
            "candidates": fitted.candidates,
            "left_out": fitted.left_out,
        },
        fitted.families,
        write,
    )


def extractor_of(config: "TrainConfig") -> Extractor:
    """What the config takes features with."""
    return Extractor(config.backbone, config.blocks, Geometry(config.size or SIZE, "crop"), config.weights)


def features(
    extractor: Extractor,
    degraded: int,
    train: "pd.DataFrame",
    validation: "pd.DataFrame",
    progress: Progress | None,
) -> list[FeatureCache]:
    """The features of all pictures, the clean view first, then as many degraded ones; what is missing is computed."""
    views = [FeatureCache(extractor, number) for number in range(degraded + 1)]
    for number, view in enumerate(views):
        what = "features" if number == 0 else f"features of degraded view {number} of {degraded}"
        view.ensure(
            [*zip(train.sha256, train.file, strict=True), *zip(validation.sha256, validation.file, strict=True)],
            with_label(progress, what),
        )
    return views


def fit(
    config: "TrainConfig", views: Sequence[FeatureCache], train: "pd.DataFrame", validation: "pd.DataFrame"
) -> FittedHead:
    """Choose and fit the head on cached features; the tables have sha256, label, generator and weight."""
    embedding = heads.embedding(_chunks(views, train), config.components)
    x, held = (_embedded(views, part, embedding) for part in (train, validation))  # [V, N, K]
    y, held_y = _classes(train), _classes(validation)
    weights, held_weights = (part.weight.to_numpy(np.float32) for part in (train, validation))

    def fitted(kind: heads.Kind, penalty: float, chosen: np.ndarray, weights: np.ndarray) -> Head:
        rows, repeated = x[:, chosen], (len(views), 1)
        return heads.fit(
            rows.reshape(-1, x.shape[-1]),
            np.tile(y[chosen], repeated).ravel(),
            np.tile(weights, repeated).ravel(),
            kind,
            penalty,
            config.seed,
        )

    kinds: tuple[heads.Kind, ...] = ("linear", "mlp") if config.head == "best" else (config.head,)
    everyone = np.arange(len(train))
    tried: list[tuple[float, heads.Kind, float, Head]] = []
    for kind in kinds:
        for penalty in CANDIDATES[kind]:
            head = fitted(kind, penalty, everyone, weights)
            losses = [heads.log_loss(head(view), held_y, held_weights) for view in held]
            tried.append((float(np.mean(losses)), kind, penalty, head))
    tried.sort(key=lambda candidate: candidate[0])
    _, kind, penalty, head = tried[0]

    def without(generator: str) -> Head:
        rest = np.flatnonzero((train.generator != generator).to_numpy())
        return fitted(kind, penalty, rest, heads.balanced(y[rest], weights[rest]))

    spread = float(np.square(x).mean()) or 1.0  # 0 where all features are constant
    margins, novelty = np.stack([_margins(head, view) for view in held]), np.square(held).mean(axis=-1) / spread
    strangers = np.empty((len(views), len(train)))
    folds = _folds(train)
    for fold in range(FOLDS):
        rest, judged = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if judged.size and len(set(y[rest])) == len(CLASSES):
            other = fitted(kind, penalty, rest, heads.balanced(y[rest], weights[rest]))
            strangers[:, judged] = np.stack([_margins(other, view) for view in x[:, judged]])
        else:
            strangers[:, judged] = np.nan
    apart = np.isfinite(strangers[0])
    families, family_head = _families(x, train)
    return FittedHead(
        embedding,
        head,
        families,
        family_head,
        ValidationPredictions(
            np.concatenate([margins, strangers[:, apart]], axis=1),
            np.concatenate([held_y, y[apart]]),
            np.concatenate([held_weights, weights[apart]]),
            np.concatenate([novelty, np.square(x[:, apart]).mean(axis=-1) / spread], axis=1),
        ),
        [{"head": kind, "penalty": penalty, "val_loss": round(loss, 6)} for loss, kind, penalty, _ in tried],
        _leave_one_out(without, train, x[0], held[0][held_y == HUMAN]),
        x[0].astype(np.float16),
        spread,
    )


def _chunks(views: Sequence[FeatureCache], table: "pd.DataFrame") -> Iterator[np.ndarray]:
    sha256s = list(table.sha256)
    for view in views:
        for start in range(0, len(sha256s), CHUNK):
            yield view.read(sha256s[start : start + CHUNK])


def _embedded(views: Sequence[FeatureCache], table: "pd.DataFrame", embedding: Embedding) -> np.ndarray:
    """Embeddings of all views, float32 [V, N, K]."""
    width = embedding.matrix.shape[1]
    return np.concatenate([embedding(chunk) for chunk in _chunks(views, table)]).reshape(len(views), len(table), width)


def _classes(table: "pd.DataFrame") -> np.ndarray:
    return table.label.map(CLASSES.index).to_numpy(np.int64)


def _margins(head: Head, x: np.ndarray) -> np.ndarray:
    """Logit of AI - logit of human of embeddings [N, K]: float [N]."""
    logits = head(x)
    return logits[:, AI] - logits[:, HUMAN]


def _folds(train: "pd.DataFrame") -> np.ndarray:
    """A fold of each training picture, int [N]: whole styles of a class, where it has enough of them.

    A head that judges a style it never saw errs as it will on pictures to come; one that validates on the styles and
    painters it learnt from is too sure of itself.
    """
    folds = np.array([int(sha256[:8], 16) % FOLDS for sha256 in train.sha256])
    for label in CLASSES:
        rows = (train.label == label).to_numpy()
        styles = train["style"][rows].value_counts()
        if len(styles) >= FOLDS:
            order = {
                style: number % FOLDS
                for number, style in enumerate(sorted(styles.index, key=lambda s: (-styles[s], s)))
            }
            folds[rows] = train["style"][rows].map(order)
    return folds


def _families(x: np.ndarray, train: "pd.DataFrame") -> tuple[tuple[str, ...], Head | None]:
    """Generators that are told apart, and the head that does it; none unless there are two."""
    counts = train.generator[train.label == CLASSES[AI]].value_counts()
    families = tuple(sorted(counts.index[counts >= MIN_PER_FOLD]))
    if len(families) < 2:
        return (), None
    rows = np.flatnonzero(train.generator.isin(families).to_numpy())
    classes = np.tile(train.generator.iloc[rows].map(families.index).to_numpy(np.int64), len(x))
    weights = heads.balanced(classes, np.ones(len(classes), np.float32))
    head = heads.fit(x[:, rows].reshape(-1, x.shape[-1]), classes, weights, "linear", FAMILY_PENALTY, 0)
    return families, head


def _leave_one_out(
    without: Callable[[str], Head], train: "pd.DataFrame", x: np.ndarray, human: np.ndarray
) -> list[dict[str, Any]]:
    """How a head that never saw a generator tells its training pictures from human-made validation pictures.

    The embedding has seen those pictures, though not their labels; `balance.hold_out` keeps them from it, too.
    """
    from sklearn.metrics import roc_auc_score

    counts = train.generator[train.label == CLASSES[AI]].value_counts()
    generators = sorted(counts.index[counts >= MIN_PER_FOLD])
    rows = []
    for name in generators if len(counts) > 1 else ():
        head, unseen = without(name), x[(train.generator == name).to_numpy()]
        ai, humans = _margins(head, unseen), _margins(head, human)
        auc = roc_auc_score([1] * len(ai) + [0] * len(humans), np.concatenate([ai, humans]))
        rows.append(
            {
                "generator": name,
                "pictures": len(ai),
                "human": len(humans),
                "roc_auc": confidence_intervals.metric(
                    auc, *confidence_intervals.auc_interval(auc, len(ai), len(humans))
                ),
                "recall": confidence_intervals.share_interval(int((ai > 0).sum()), len(ai)),
            }
        )
    return rows
