"""`artnet`: a frozen pretrained backbone, and a small head on the statistics of its activations.

Features come from the feature cache, so retraining costs the forward passes of new pictures and seconds for the head.
The saved model maps a picture to the probability of AI, its generator family, novelty and embedding.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.artifacts import file_names
from artdetect.core.progress import Progress, with_label
from artdetect.model.feature_cache import Extractor, FeatureCache, clean_view
from artdetect.pictures.images import Geometry
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.stats.confidence_intervals import auc_interval, metric, share_interval
from artdetect.train import artnet_model, heads
from artdetect.train.calibration import HeldOutPredictions
from artdetect.train.heads import Embedding, FittedHead, Head
from artdetect.train.inputs import TrainingInputs
from artdetect.train.result import TrainingResult

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.train.config import TrainConfig

NEIGHBOURS = file_names.NEIGHBOURS  # sha256 and embedding of the training pictures
SIZE = 224  # side of the canonical square, in pixels
CHUNK = 4096  # pictures whose features are in memory at a time
PENALTIES: dict[str, tuple[float, ...]] = {"linear": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "mlp": (1e-2, 1e-1)}
FOLDS = 5  # of the training pictures: each is predicted by a head trained on the others, to calibrate on
MIN_PER_GENERATOR = 20  # training pictures that a generator needs to be a family, and to be left out
FAMILY_PENALTY = 1e-2


def train(inputs: TrainingInputs) -> TrainingResult:
    """Select and fit a head, see `artdetect.train.run`. There are no epochs to report and nothing to resume."""
    config, train, validation = inputs.config, inputs.train, inputs.validation
    extractor = make_extractor(config)
    views = cached_features(extractor, config.degraded_views, train, validation, inputs.progress, config.native_crops)
    fitted = fit(config, views, train, validation)

    def write_files(out: Path) -> None:
        np.savez(out / NEIGHBOURS, sha256=train.sha256.to_numpy("S64"), embedding=fitted.train)

    best = fitted.candidates[0]
    return TrainingResult(
        lambda calibration: artnet_model.assemble(extractor, fitted, calibration, config.test_time_views),
        extractor.geometry,
        fitted.validation,
        {
            "head": best["head"],
            "val_loss": best["val_loss"],
            "candidates": fitted.candidates,
            "left_out": fitted.left_out,
        },
        fitted.families,
        write_files,
        config.native_crops,
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
    """The features of all pictures: the clean view, then the degraded ones. Missing features are computed.

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
    for number, view in enumerate(views):
        label = "features" if number == 0 else f"features of degraded view {number} of {degraded_views}"
        view.ensure(
            [*zip(train.sha256, train.file, strict=True), *zip(validation.sha256, validation.file, strict=True)],
            with_label(progress, label),
        )
    return views


def fit(
    config: "TrainConfig", views: Sequence[FeatureCache], train: "pd.DataFrame", validation: "pd.DataFrame"
) -> FittedHead:
    """Select and fit the head on cached features.

    Args:
        config: Section `train`.
        views: The features of each view, the clean one first.
        train: The training pictures, with columns sha256, label, style, generator and weight.
        validation: The validation pictures, likewise.
    """
    embedding = heads.fit_embedding(_chunks(views, train), config.pca_components)
    x, val_x = (_embedded(views, table, embedding) for table in (train, validation))  # [V, N, K]
    y, val_y = _classes(train), _classes(validation)
    weights, val_weights = (table.weight.to_numpy(np.float32) for table in (train, validation))

    def fit_on(rows: np.ndarray, weights: np.ndarray, kind: heads.Kind, penalty: float) -> Head:
        """A head fitted on all views of these training pictures."""
        repeats = (len(views), 1)
        return heads.fit(
            x[:, rows].reshape(-1, x.shape[-1]),
            np.tile(y[rows], repeats).ravel(),
            np.tile(weights, repeats).ravel(),
            kind,
            penalty,
            config.seed,
        )

    kinds: tuple[heads.Kind, ...] = ("linear", "mlp") if config.head == "best" else (config.head,)
    candidates: list[tuple[float, heads.Kind, float, Head]] = []
    for kind in kinds:
        for penalty in PENALTIES[kind]:
            head = fit_on(np.arange(len(train)), weights, kind, penalty)
            losses = [heads.log_loss(head(view), val_y, val_weights) for view in val_x]
            candidates.append((float(np.mean(losses)), kind, penalty, head))
    candidates.sort(key=lambda candidate: candidate[0])
    _, kind, penalty, head = candidates[0]

    def fit_without(held_out: np.ndarray) -> Head:
        """A head of the selected kind, fitted on the other training pictures; bool [N]."""
        rest = np.flatnonzero(~held_out)
        return fit_on(rest, heads.balanced_weights(y[rest], weights[rest]), kind, penalty)

    out_of_fold = np.full((len(views), len(train)), np.nan)
    folds = _folds(train)
    for fold in range(FOLDS):
        held_out = folds == fold
        if held_out.any() and len(set(y[~held_out])) == len(CLASSES):
            fold_head = fit_without(held_out)
            out_of_fold[:, held_out] = np.stack([_ai_logits(fold_head, view) for view in x[:, held_out]])
    predicted = np.isfinite(out_of_fold[0])
    novelty_scale = float(np.square(x).mean()) or 1.0  # 0 where all features are constant
    families, family_head = _families(x, train)
    return FittedHead(
        embedding,
        head,
        families,
        family_head,
        HeldOutPredictions(
            np.concatenate([np.stack([_ai_logits(head, view) for view in val_x]), out_of_fold[:, predicted]], axis=1),
            np.concatenate([val_y, y[predicted]]),
            np.concatenate([val_weights, weights[predicted]]),
            np.concatenate([np.square(z).mean(axis=-1) / novelty_scale for z in (val_x, x[:, predicted])], axis=1),
        ),
        [{"head": kind, "penalty": penalty, "val_loss": round(loss, 6)} for loss, kind, penalty, _ in candidates],
        _leave_one_out(fit_without, train, x[0], val_x[0][val_y == HUMAN]),
        x[0].astype(np.float16),
        novelty_scale,
    )


def _chunks(views: Sequence[FeatureCache], table: "pd.DataFrame") -> Iterator[np.ndarray]:
    sha256s = list(table.sha256)
    for view in views:
        for start in range(0, len(sha256s), CHUNK):
            yield view.read(sha256s[start : start + CHUNK])


def _embedded(views: Sequence[FeatureCache], table: "pd.DataFrame", embedding: Embedding) -> np.ndarray:
    """The embeddings of all views, float32 [V, N, K]."""
    width = embedding.matrix.shape[1]
    return np.concatenate([embedding(chunk) for chunk in _chunks(views, table)]).reshape(len(views), len(table), width)


def _classes(table: "pd.DataFrame") -> np.ndarray:
    return table.label.map(CLASSES.index).to_numpy(np.int64)


def _ai_logits(head: Head, x: np.ndarray) -> np.ndarray:
    """The logit of AI minus the logit of human for embeddings [N, K]: float [N]."""
    logits = head(x)
    return logits[:, AI] - logits[:, HUMAN]


def _folds(train: "pd.DataFrame") -> np.ndarray:
    """The fold of each training picture, int [N]. A class with enough styles is divided by whole styles.

    On a style that it was not trained on, a head errs as it will on future pictures. On styles and painters it was
    trained on, it is overconfident.
    """
    folds = np.array([int(sha256[:8], 16) % FOLDS for sha256 in train.sha256])
    for label in CLASSES:
        rows = (train.label == label).to_numpy()
        styles = train["style"][rows].value_counts()
        if len(styles) >= FOLDS:
            by_size = sorted(styles.index, key=lambda style: (-styles[style], style))
            fold_of = {style: number % FOLDS for number, style in enumerate(by_size)}
            folds[rows] = train["style"][rows].map(fold_of)
    return folds


def _families(x: np.ndarray, train: "pd.DataFrame") -> tuple[tuple[str, ...], Head | None]:
    """The generators with enough training pictures, and the head that distinguishes them; none if there is just one."""
    counts = train.generator[train.label == CLASSES[AI]].value_counts()
    families = tuple(sorted(counts.index[counts >= MIN_PER_GENERATOR]))
    if len(families) < 2:
        return (), None
    rows = np.flatnonzero(train.generator.isin(families).to_numpy())
    classes = np.tile(train.generator.iloc[rows].map(families.index).to_numpy(np.int64), len(x))
    weights = heads.balanced_weights(classes, np.ones(len(classes), np.float32))
    head = heads.fit(x[:, rows].reshape(-1, x.shape[-1]), classes, weights, "linear", FAMILY_PENALTY, 0)
    return families, head


def _leave_one_out(
    fit_without: Callable[[np.ndarray], Head], train: "pd.DataFrame", x: np.ndarray, human: np.ndarray
) -> list[dict[str, Any]]:
    """How well a head trained without a generator separates its pictures from human-made validation pictures.

    The embedding is fitted on those pictures too, though without labels. With `balance.held_out_generators` it is not.

    Args:
        fit_without: Fits a head without the marked training pictures, bool [N].
        train: The training pictures.
        x: The embeddings of their clean views, float [N, K].
        human: Embeddings of human-made validation pictures.

    Returns:
        One row per generator: generator, pictures, human, roc_auc, recall.
    """
    from sklearn.metrics import roc_auc_score

    counts = train.generator[train.label == CLASSES[AI]].value_counts()
    generators = sorted(counts.index[counts >= MIN_PER_GENERATOR])
    rows = []
    for name in generators if len(counts) > 1 else ():
        held_out = (train.generator == name).to_numpy()
        head = fit_without(held_out)
        ai, humans = _ai_logits(head, x[held_out]), _ai_logits(head, human)
        auc = roc_auc_score([1] * len(ai) + [0] * len(humans), np.concatenate([ai, humans]))
        rows.append(
            {
                "generator": name,
                "pictures": len(ai),
                "human": len(humans),
                "roc_auc": metric(auc, *auc_interval(auc, len(ai), len(humans))),
                "recall": share_interval(int((ai > 0).sum()), len(ai)),
            }
        )
    return rows
