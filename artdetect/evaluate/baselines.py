"""Baselines: what a classifier reaches that never sees a shape. A detector has to beat them to have learnt more.

Both are scikit-learn's histogram gradient boosting as it comes; nothing was chosen on validation or test.
"""

import hashlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect import compute
from artdetect.core import digests
from artdetect.core.progress import Count
from artdetect.evaluate.metrics import headline
from artdetect.pictures.file_properties import properties
from artdetect.pictures.labels import AI, CLASSES

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.pictures.pixel_cache import PixelCache

MAX_TRAINING = 20_000  # pictures that a baseline learns from
LEVELS = 16  # of a colour channel
BASELINES = {
    "palette": "which colours there are in a picture, wherever they stand: histograms of red, green and blue, and of "
    "hue, saturation and value",
    "file": "the picture's file alone: width, height, bytes, format, mode, JPEG quality and whether there is EXIF",
}


def training_sample(train: "pd.DataFrame") -> "pd.DataFrame":
    """Up to `MOST` of the training pictures, drawn by a hash of their contents; the rows keep their order."""
    rank = [hashlib.sha256(f"baseline {sha256}".encode()).digest() for sha256 in train.sha256]
    return train.iloc[np.sort(np.argsort(rank, kind="stable")[:MAX_TRAINING])]


def baselines(
    learnt: "pd.DataFrame",
    test: "pd.DataFrame",
    facts: "pd.DataFrame",
    pixels: "PixelCache",
    resamples: int,
    seed: int,
    progress: Count,
) -> list[dict[str, Any]]:
    """A row a baseline: name, what it goes by, and its accuracy, balanced accuracy and ROC-AUC on the test pictures.

    Args:
        learnt, test: sha256 and label; the contents are in the pixel cache.
        facts: of learnt and then test, what `file_properties.properties` needs.
    """
    rows = pixels.rows([*learnt.sha256, *test.sha256])
    columns = list(chain.from_iterable(part.values() for part in properties(facts).values()))
    features = {
        "palette": palettes(pixels, rows, progress),
        "file": np.column_stack([np.zeros(len(rows), np.float32), *columns]),  # files may all be alike
    }
    is_ai = np.concatenate([(part.label == CLASSES[AI]).to_numpy() for part in (learnt, test)])
    found = []
    for name, what in BASELINES.items():
        p_ai = _predicted(features[name][: len(learnt)], is_ai[: len(learnt)], features[name][len(learnt) :])
        scores = headline(is_ai[len(learnt) :], p_ai, p_ai >= 0.5, resamples, seed)
        del scores["average_precision"]
        found.append({"name": name, "what": what, **scores})
    return found


def cache_key(drawn_from: Sequence[Path], pixels: "PixelCache", resamples: int, seed: int) -> dict[str, Any]:
    """All that `baselines` depends on, JSON-able: no model does. `drawn_from`: the files that say which pictures."""
    return {
        "from": [digests.file_digest(file) for file in drawn_from],
        "pixels": pixels.folder.name,
        "drawn": [resamples, seed],
        "code": digests.code_digests(__name__),
        "packages": digests.versions(("numpy", "pandas", "pillow", "scikit-learn", "scipy")),
    }


def palettes(pixels: "PixelCache", rows: np.ndarray, progress: Count) -> np.ndarray:
    """`palette` of these rows of the pixel cache, float32 `(len(rows), D)`."""
    pictures = (pixels.read(np.array([row]))[0] for row in rows)
    piece = pixels.geometry.fitting(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES)
    parts: list[np.ndarray] = []
    for _, part in compute.chunks(_palettes, pictures, piece):
        parts.extend(part)
        progress(len(parts), len(rows))
    return np.stack(parts)


def _palettes(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A worker's part."""
    return [palette(picture) for picture in pictures]


def palette(picture: np.ndarray) -> np.ndarray:
    """Of uint8 `(S, S, 3)`: the shares of pixels at each of `LEVELS` levels of R, G, B, H, S, V, float32 `(D,)`."""
    from PIL import Image

    rgb = Image.fromarray(picture)
    counts = np.array([rgb.histogram(), rgb.convert("HSV").histogram()], np.float32)
    return counts.reshape(6 * LEVELS, -1).sum(axis=1) / (picture.shape[0] * picture.shape[1])


def _predicted(features: np.ndarray, is_ai: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """p(AI) of the unseen, where both classes are as frequent."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    fitted = HistGradientBoostingClassifier(class_weight="balanced", random_state=0).fit(features, is_ai)
    return fitted.predict_proba(unseen)[:, 1]
