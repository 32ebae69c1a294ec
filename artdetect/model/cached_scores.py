"""A model's scores of test pictures, clean or corrupted, with the frozen backbone's features cached.

The features of a picture under a condition are computed once and serve every model on the same backbone, such as
champion and challenger. A model without a frozen backbone is scored without a cache.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from artdetect import compute
from artdetect.core import digests, paths
from artdetect.core.progress import Count
from artdetect.model.detector import Detector, Scores
from artdetect.pictures import corruptions
from artdetect.pictures.array_cache import ArrayCache, PictureRef
from artdetect.pictures.corruptions import CLEAN
from artdetect.pictures.pixel_cache import PixelCache

CACHE_VERSION = 3  # part of every cached feature's key: raise it when a change, here or in the model, alters features
CHUNK = 128  # pictures in memory before a forward pass, and the most features that a killed process loses
HEAD_CHUNK = 4096  # features in memory at a time
NO_FILE = Path()  # features are computed from cached pixels, not from files


def scores(
    detector: Detector,
    pixels: PixelCache,
    sha256s: Sequence[str],
    condition: str = CLEAN,
    progress: Count | None = None,
) -> Scores:
    """The model's scores of pictures under a condition.

    Args:
        detector: The model.
        pixels: The cache that holds the pictures' pixels.
        sha256s: Hex digests of the picture files' contents, at least one.
        condition: `CLEAN` or a name in `corruptions.GRID`.
        progress: Called with (done, all). Cached features are not counted.
    """
    if detector.frozen:
        cache = _feature_cache(detector, pixels, condition)
        cache.ensure([(sha256, NO_FILE) for sha256 in sha256s], progress)
        starts = range(0, len(sha256s), HEAD_CHUNK)
        features = (cache.read(cache.rows(sha256s[start : start + HEAD_CHUNK])) for start in starts)
        return Scores.concatenate([detector.scores_from_features(part) for part in features])
    results, done = [], 0
    for chunk in _pictures(pixels, sha256s, condition):
        results.append(detector.scores(chunk))
        done += len(chunk)
        if progress:
            progress(done, len(sha256s))
    return Scores.concatenate(results)


def _feature_cache(detector: Detector, pixels: PixelCache, condition: str) -> ArrayCache:
    """The frozen backbone's features, float32 `(D,)` per picture. Its folder may be deleted at any time."""
    assert detector.frozen
    key = {
        "frozen": detector.frozen.id,
        "pixels": pixels.folder.name,
        "condition": condition,
        "recipe": CACHE_VERSION,
        "packages": digests.versions(("keras", "numpy", "pillow", "scipy", "tensorflow")),
        "code": {} if condition == CLEAN else digests.code_digests(corruptions.__name__),
    }
    folder = paths.cache() / "frozen_features" / f"{detector.frozen.id}-{digests.value_digest(key)[:16]}"
    make = partial(_features, detector, pixels, condition)
    return ArrayCache(folder, "feature", (detector.frozen.width,), np.float32, make, CHUNK)


def _features(detector: Detector, pixels: PixelCache, condition: str, items: Sequence[PictureRef]) -> Iterator[bytes]:
    for chunk in _pictures(pixels, [sha256 for sha256, _ in items], condition):
        for record in detector.features(chunk):
            yield record.tobytes()


def _pictures(pixels: PixelCache, sha256s: Sequence[str], condition: str) -> Iterator[np.ndarray]:
    """Chunks of the pictures under a condition, uint8 `(n, S, S, 3)`: `CHUNK` pictures each, fewer large ones."""
    size = pixels.geometry.max_batch(CHUNK)
    rows = pixels.rows(sha256s)
    if condition == CLEAN:
        yield from (pixels.read(rows[start : start + size]) for start in range(0, len(rows), size))
        return
    items = ((sha256, pixels.read(row)[0]) for sha256, row in zip(sha256s, rows[:, None], strict=True))
    worker_chunk = pixels.geometry.max_batch(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES)
    parts = compute.chunks(partial(_corrupt, condition), items, worker_chunk)
    pictures = chain.from_iterable(part for _, part in parts)
    while chunk := list(islice(pictures, size)):
        yield np.stack(chunk)


def _corrupt(condition: str, items: Sequence[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    """Runs in a worker: the corrupted pixels of pictures, which come as (sha256, canonical pixels)."""
    return [corruptions.corrupt(canonical, sha256, condition) for sha256, canonical in items]
