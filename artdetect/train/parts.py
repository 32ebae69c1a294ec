"""Fits how a model judges parts of a picture: a head for windows, their calibration by size, and the mixed verdict.

Everything is chosen, calibrated and measured on pictures whose sources and generators the judging head does not know.
The head of whole pictures is not touched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.core.progress import Progress, with_label
from artdetect.model.feature_cache import Extractor
from artdetect.model.parts import Parts
from artdetect.model.pooled_net import Layers
from artdetect.model.probabilities import Calibration
from artdetect.model.window_cache import PER_SIDE, WindowFeatureCache
from artdetect.model.window_grid import WindowGrid
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.pictures.source_folds import MIN_SOURCES, SourceFolds, source_folds, source_weights
from artdetect.stats.log_loss import log_losses
from artdetect.train import heads
from artdetect.train.calibration import HeldOutPredictions, fit_calibration

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.train.config import TrainConfig

COMPONENTS = (50, 100, 200, 400)  # of the embedding of windows, at most `train.pca_components`
PENALTIES = (1e-2, 1e-1, 1.0)
CHUNK = 256  # pictures whose windows are float32 at a time
CONFIDENCE = 1.645  # standard errors of a one-sided 95 % interval
Trial = tuple[int, float]  # components and penalty


@dataclass(frozen=True)
class FittedParts:
    """How parts are judged, and by heads of which folds that was found out.

    Args:
        parts: What goes into the model, without a rule for mixed pictures.
        by_fold: Fold -> the same, fitted without its pictures, their sources and generators, and calibrated without it.
        pictures: The training pictures that took part, rows of the training table.
        folds: Their folds.
        measured: For metrics.json: pictures; runtime; components and penalty; and for each size of windows auc,
            log_loss, gain (what is left of the log loss of a coin), gain_from (the lower end of its one-sided 95 %
            interval over sources), speaks.
    """

    parts: Parts
    by_fold: dict[int, Parts]
    pictures: "pd.DataFrame"
    folds: SourceFolds
    measured: dict[str, Any]


def fit(
    config: "TrainConfig", extractor: Extractor, train: "pd.DataFrame", progress: Progress | None = None
) -> FittedParts | None:
    """Fit them; None where a class has too few sources to leave some out.

    Args:
        config: Section `train`.
        extractor: How features are extracted.
        train: The training pictures, with columns sha256, file, label, source, generator and group.
        progress: Called with (done, all, label).
    """
    all_folds = source_folds(train)
    y_all = train.label.map(CLASSES.index).to_numpy(np.int64)
    if min(len(set(all_folds.groups[y_all == number])) for number in (AI, HUMAN)) < MIN_SOURCES:
        return None
    rows = _spread(train, all_folds, config.part_pictures)
    chosen, folds, y = train.iloc[rows].reset_index(drop=True), all_folds.part(rows), y_all[rows]
    weights = source_weights(folds.groups, y)
    windows = _Windows(extractor, 1 + min(config.degraded_views, 1), chosen, progress)
    trials = [
        (components, penalty)
        for components in sorted({min(config.pca_components, each) for each in COMPONENTS})
        for penalty in sorted(PENALTIES, reverse=True)
    ]  # the simplest first

    logits = np.full((len(trials), windows.views, len(windows.sides), len(y)), np.nan)
    heads_of: dict[int, list[Layers]] = {}
    for number in folds.numbers:
        rest, held_out = folds.split(number)
        if not held_out.size or len(set(y[rest])) < len(CLASSES):
            continue
        heads_of[number] = windows.heads(rest, y, weights, trials)
        for trial, layers in enumerate(heads_of[number]):
            logits[trial][..., held_out] = windows.logits(held_out, layers)
    judged = np.isfinite(logits[0, 0, 0])

    def held_out_by(trial: int, side: int, part: np.ndarray) -> HeldOutPredictions:
        return HeldOutPredictions(logits[trial, :, side][:, part], y[part], weights[part])

    sides = range(len(windows.sides))
    losses = [
        np.mean([_losses(held_out_by(trial, side, judged)) for side in sides], axis=0) for trial in range(len(trials))
    ]
    best = _simplest(losses, held_out_by(0, 0, judged).equal_shares(), folds.groups[judged])
    components, penalty = trials[best]
    by_fold = {
        number: Parts(
            heads_of[number][best],
            {
                name: fit_calibration(held_out_by(best, side, judged & (folds.folds != number)))
                for side, name in enumerate(windows.sides)
            },
        )
        for number in heads_of
    }
    calibrations: dict[int, Calibration | None] = {}
    measured: dict[str, Any] = {}
    for side, name in enumerate(windows.sides):
        crossed = {number: by_fold[number].calibrations[name] for number in by_fold}
        worth = _worth(held_out_by(best, side, judged), folds.part(judged), crossed)
        calibrations[name] = fit_calibration(held_out_by(best, side, judged)) if worth["speaks"] else None
        measured[str(name)] = worth
    silent = {name: None for name, found in calibrations.items() if found is None}
    by_fold = {number: replace(each, calibrations={**each.calibrations, **silent}) for number, each in by_fold.items()}
    (layers,) = windows.heads(np.arange(len(y)), y, weights, [trials[best]])
    summary = {
        "pictures": int(judged.sum()),
        "runtime": windows.runtime,
        "components": components,
        "penalty": penalty,
        "windows": measured,
    }
    return FittedParts(Parts(layers, calibrations), by_fold, chosen, folds, summary)


def _spread(train: "pd.DataFrame", folds: SourceFolds, count: int) -> np.ndarray:
    """Up to `count` pictures, as many of each source as there are, but the large ones are cut to one size: int [n]."""
    ranks = train.assign(source_group=folds.groups).groupby(["label", "source_group"]).sha256.rank(method="first")
    return np.sort(np.argsort(ranks.to_numpy(), kind="stable")[:count])


def _losses(predictions: HeldOutPredictions) -> np.ndarray:
    """The calibrated log loss of each picture, the mean over its windows: float [n]."""
    p_ai = fit_calibration(predictions)(predictions.logits)
    return log_losses(np.broadcast_to(predictions.classes == AI, p_ai.shape), p_ai).mean(axis=0)


def _simplest(losses: Sequence[np.ndarray], shares: np.ndarray, groups: np.ndarray) -> int:
    """The first trial that is worse than the best one by no more than one standard error over sources.

    Source: Breiman et al., "Classification and Regression Trees" (1984), the one-standard-error rule. A simple head is
    as good on other sources, and its maps change less with the picture's last bits.

    Args:
        losses: The losses of the pictures in each trial, [n] each, the simplest trial first.
        shares: How much the pictures count, [n]; they sum to 1.
        groups: Their sources, [n].
    """
    least = losses[int(np.argmin([each @ shares for each in losses]))]
    worse = [_mean_over_sources(each - least, shares, groups) for each in losses]
    return next(number for number, (mean, error) in enumerate(worse) if mean <= error)


def _mean_over_sources(values: np.ndarray, shares: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """The weighted mean of some pictures' values, and its standard error over their sources."""
    mean = float(values @ shares)
    _, members = np.unique(groups, return_inverse=True)
    return mean, float(np.sqrt(np.square(np.bincount(members, shares * (values - mean))).sum()))


def _worth(
    predictions: HeldOutPredictions, folds: SourceFolds, calibrations: dict[int, Calibration | None]
) -> dict[str, Any]:
    """What windows of one size say about pictures of left-out sources, see `FittedParts.measured`."""
    from sklearn.metrics import roc_auc_score

    is_ai, shares = predictions.classes == AI, predictions.equal_shares()
    p_ai = np.empty_like(predictions.logits)
    for number, calibration in calibrations.items():
        assert calibration
        p_ai[:, folds.folds == number] = calibration(predictions.logits[:, folds.folds == number])
    losses = log_losses(np.broadcast_to(is_ai, p_ai.shape), p_ai).mean(axis=0)
    gain, error = _mean_over_sources(np.log(2) - losses, shares, folds.groups)
    every = np.tile(shares, len(p_ai))
    return {
        "auc": float(roc_auc_score(np.tile(is_ai, len(p_ai)), predictions.logits.ravel(), sample_weight=every)),
        "log_loss": float(losses @ shares),
        "gain": gain,
        "gain_from": gain - CONFIDENCE * error,
        "speaks": gain - CONFIDENCE * error > 0,
    }


class _Windows:
    """The features of windows of some pictures, and heads fitted on them.

    Args:
        extractor: How features are extracted.
        views: The clean view, and so many less one of the degraded views.
        pictures: The pictures, with columns sha256 and file.
        progress: Called with (done, all, label).
    """

    def __init__(self, extractor: Extractor, views: int, pictures: "pd.DataFrame", progress: Progress | None):
        self.sides = list(WindowGrid(extractor.geometry.size).sides)
        self.views = views * PER_SIDE  # of each window size
        items = list(zip(pictures.sha256, pictures.file, strict=True))
        self._caches = [WindowFeatureCache(extractor, view) for view in range(views)]
        for view, cache in enumerate(self._caches):
            label = "features of windows" + (f" of degraded view {view}" if view else "")
            cache.ensure(items, with_label(progress, label))
        self._sha256s = list(pictures.sha256)

    @property
    def runtime(self) -> str:
        """What computes the features."""
        return self._caches[0].runtime

    def heads(self, rows: np.ndarray, y: np.ndarray, weights: np.ndarray, trials: Sequence[Trial]) -> list[Layers]:
        """A head on features of windows for each trial, fitted on the windows of the pictures `rows`, int [n]."""
        shift = next(self._chunks(rows))[0].mean(axis=0)
        moments = heads.Moments.of((x for x, _ in self._chunks(rows)), shift)
        embedding = heads.fit_embedding(moments, max(components for components, _ in trials))
        embedded = [(embedding(x), owners) for x, owners in self._chunks(rows)]
        x, owners = (np.concatenate(column) for column in zip(*embedded, strict=True))
        balanced = heads.balanced_weights(y[owners], weights[owners].astype(np.float32))
        found: list[Layers] = []
        for components, penalty in trials:
            first = np.ascontiguousarray(x[:, :components])  # components are in the order of their variance
            ((kernel, bias),) = heads.fit(first, y[owners], balanced, "linear", penalty, 0).layers
            margin = kernel[:, [AI]] - kernel[:, [HUMAN]]
            on_features = embedding.matrix[:, :components] @ margin
            found.append([(on_features, bias[[AI]] - bias[[HUMAN]] - embedding.mean @ on_features)])
        return found

    def logits(self, rows: np.ndarray, layers: Layers) -> np.ndarray:
        """The logits of the windows of pictures, [views, sides, n]."""
        ((kernel, bias),) = layers
        found = np.concatenate([(x @ kernel + bias)[:, 0] for x, _ in self._chunks(rows)])
        return found.reshape(-1, len(rows), len(self.sides), PER_SIDE).transpose(0, 3, 2, 1).reshape(
            self.views, len(self.sides), len(rows)
        )  # fmt: skip

    def _chunks(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Features [m, D] of windows and the pictures [m] that they are of, view by view."""
        for cache in self._caches:
            for start in range(0, len(rows), CHUNK):
                part = rows[start : start + CHUNK]
                x = cache.read([self._sha256s[row] for row in part])
                yield x.reshape(-1, x.shape[-1]), np.repeat(part, x.shape[1] * x.shape[2])
