"""Baselines: what a classifier reaches that never sees a shape. A detector must beat them to have learned more.

Both are scikit-learn's histogram gradient boosting with its defaults. They are trained on training pictures; nothing
about them was chosen on validation or test pictures. For art from other sources they are judged as the model is: each
training picture by a baseline that was trained without its source and its generator.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect import compute
from artdetect.core import digests
from artdetect.core.progress import Count
from artdetect.evaluate.metrics import headline
from artdetect.model.decision import UNSURE
from artdetect.pictures import content_draw
from artdetect.pictures.file_properties import properties
from artdetect.pictures.labels import AI, CLASSES
from artdetect.pictures.source_folds import SourceFolds, source_folds, source_weights
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.verdict_measures import verdict_measures

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.pictures.pixel_cache import PixelCache

MAX_TRAINING = 20_000  # training pictures of a baseline
LEVELS = 16  # bins of a colour channel
BASELINES = {
    "palette": "the colours of the picture, regardless of where they are: histograms of red, green and blue, and of "
    "hue, saturation and value",
    "file": "the picture's file alone: width, height, bytes, format, mode, JPEG quality and whether it has EXIF",
}


def training_sample(train: "pd.DataFrame") -> "pd.DataFrame":
    """Up to `MAX_TRAINING` training pictures, drawn by content; the rows keep their order."""
    return train.iloc[content_draw.sample("baseline", list(train.sha256), MAX_TRAINING)]


def baselines(
    train: "pd.DataFrame",
    test: "pd.DataFrame",
    metadata: "pd.DataFrame",
    pixels: "PixelCache",
    bootstrap: Bootstrap,
    progress: Count,
) -> list[dict[str, Any]]:
    """Train each baseline and score the test pictures.

    Args:
        train: sha256, label, source, generator and group; the contents are in the pixel cache.
        test: sha256 and label; the contents are in the pixel cache.
        metadata: The columns that `file_properties.properties` needs, for the rows of `train` and then of `test`.
        pixels: The pixel cache.
        bootstrap: The resamples behind the intervals.
        progress: Called with (done, total).

    Returns:
        One row per baseline: name; what, the features it uses; accuracy, balanced_accuracy and roc_auc on the test
        pictures; out_of_source, see `_out_of_source`.
    """
    rows = pixels.rows([*train.sha256, *test.sha256])
    columns = list(chain.from_iterable(part.values() for part in properties(metadata).values()))
    features = {
        "palette": palettes(pixels, rows, progress),
        "file": np.column_stack([np.zeros(len(rows), np.float32), *columns]),  # files may all be alike
    }
    is_ai = np.concatenate([(part.label == CLASSES[AI]).to_numpy() for part in (train, test)])
    split = len(train)
    folds = source_folds(train)
    result = []
    for name, what in BASELINES.items():
        p_ai = _predict(features[name][:split], is_ai[:split], features[name][split:])
        scores = headline(is_ai[split:], p_ai, p_ai >= 0.5, bootstrap)
        del scores["average_precision"]
        others = _out_of_source(features[name][:split], is_ai[:split], folds, bootstrap.seed)
        result.append({"name": name, "what": what, **scores, "out_of_source": others})
    return result


def _out_of_source(
    features: np.ndarray, is_ai: np.ndarray, folds: SourceFolds, seed: int
) -> dict[str, dict[str, float] | None] | None:
    """balanced_accuracy and roc_auc on pictures of left-out sources, as `verdict_measures` counts them.

    Args:
        features: float32 `(N, D)`, of the training pictures.
        is_ai: bool `(N,)`.
        folds: Their folds.
        seed: Seed of the intervals, which are over sources.

    Returns:
        None where not both classes can be judged so.
    """
    p_ai = np.full(len(is_ai), np.nan)
    for number in folds.numbers:
        rest, held_out = folds.split(number)
        if held_out.size and len(set(is_ai[rest])) == len(CLASSES):
            p_ai[held_out] = _predict(features[rest], is_ai[rest], features[held_out])
    judged = np.isfinite(p_ai)
    truth, groups, p_ai = is_ai[judged], folds.groups[judged], p_ai[judged]
    if len(set(truth)) < len(CLASSES):
        return None
    weights = source_weights(groups, truth.astype(np.int64))
    measured = verdict_measures(truth, p_ai, np.full(len(truth), UNSURE), weights, groups, seed)
    return {name: measured[name] for name in ("balanced_accuracy", "roc_auc")}


def cache_key(
    tables: Sequence[Path], left_out: Sequence[str], pixels: "PixelCache", bootstrap: Bootstrap
) -> dict[str, Any]:
    """All that `baselines` depends on, JSON-able; the model is not part of it.

    Args:
        tables: The files that select the pictures.
        left_out: sha256s of test pictures that are not scored.
        pixels: The pixel cache.
        bootstrap: The resamples behind the intervals.
    """
    return {
        "from": [digests.file_digest(file) for file in tables],
        "left_out": digests.value_digest(left_out),
        "pixels": pixels.folder.name,
        "drawn": [bootstrap.resamples, bootstrap.seed],
        "code": digests.code_digests(__name__),
        "packages": digests.versions(("numpy", "pandas", "pillow", "scikit-learn", "scipy")),
    }


def palettes(pixels: "PixelCache", rows: np.ndarray, progress: Count) -> np.ndarray:
    """The `palette` of each of some pictures in the pixel cache.

    Args:
        pixels: The pixel cache.
        rows: Rows of the cache, int64 `(N,)`, at least one.
        progress: Called with (done, total) after each chunk.

    Returns:
        float32 `(N, 6 * LEVELS)`, in the order of `rows`.
    """
    pictures = (pixels.read(np.array([row]))[0] for row in rows)
    chunk_size = pixels.geometry.max_batch(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES)
    result: list[np.ndarray] = []
    for _, chunk in compute.chunks(_palettes, pictures, chunk_size):
        result.extend(chunk)
        progress(len(result), len(rows))
    return np.stack(result)


def _palettes(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Compute the palettes of a chunk of pictures, on a worker."""
    return [palette(picture) for picture in pictures]


def palette(picture: np.ndarray) -> np.ndarray:
    """The share of pixels at each of `LEVELS` levels of R, G, B, H, S, V.

    Args:
        picture: uint8 `(S, S, 3)`.

    Returns:
        float32 `(6 * LEVELS,)`.
    """
    from PIL import Image

    rgb = Image.fromarray(picture)
    counts = np.array([rgb.histogram(), rgb.convert("HSV").histogram()], np.float32)
    return counts.reshape(6 * LEVELS, -1).sum(axis=1) / (picture.shape[0] * picture.shape[1])


def _predict(train: np.ndarray, is_ai: np.ndarray, test: np.ndarray) -> np.ndarray:
    """p(AI) of the test rows, for equally frequent classes.

    One thread: several wait for each other at every node of a tree, on a busy machine for minutes.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "openmp"):
        model = HistGradientBoostingClassifier(class_weight="balanced", random_state=0).fit(train, is_ai)
        return model.predict_proba(test)[:, 1]
