"""A model's scores of test pictures, clean or corrupted, with the frozen backbone's features cached.

The features of a picture under a condition are computed once and serve every model on the same backbone, such as
champion and challenger. A model without a frozen backbone is scored without a cache.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, compress, islice
from pathlib import Path

import numpy as np

from artdetect import compute
from artdetect.core import digests, paths
from artdetect.core.progress import Count
from artdetect.model.detector import Detector, Scores
from artdetect.model.frozen_backbone import with_crops
from artdetect.pictures import corruptions
from artdetect.pictures.array_cache import ArrayCache, PictureRef
from artdetect.pictures.corruptions import CLEAN
from artdetect.pictures.crop_cache import CropCache
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
    crops: CropCache | None = None,
) -> Scores:
    """The model's scores of pictures under a condition, which changes the whole and its crops alike.

    Args:
        detector: The model.
        pixels: The cache that holds the pictures' pixels.
        sha256s: Hex digests of the picture files' contents, at least one.
        condition: `CLEAN` or a name in `corruptions.GRID`.
        progress: Called with (done, all). Cached features are not counted.
        crops: The cache that holds the pictures' crops, where the model judges some; by default that of `crop_cache`.

    Raises:
        DataError: A picture is not in the caches of pixels or crops.
    """
    crops = crop_cache(detector) if crops is None else crops
    if detector.frozen:
        wholes = _feature_cache(detector, pixels, condition)
        wholes.ensure([(sha256, NO_FILE) for sha256 in sha256s], progress)
        of_crops = None if crops is None else _CropFeatures(detector, crops, condition)
        if of_crops is not None:
            of_crops.ensure(sha256s, progress)
        results = []
        for start in range(0, len(sha256s), HEAD_CHUNK):
            part = sha256s[start : start + HEAD_CHUNK]
            features = wholes.read(wholes.rows(part))
            results.append(
                detector.scores_from_features(features if of_crops is None else of_crops.added_to(features, part))
            )
        return Scores.concatenate(results)
    results, done = [], 0
    for chunk in _pictures(pixels, sha256s, condition):
        results.append(detector.scores(chunk))
        done += len(chunk)
        if progress:
            progress(done, len(sha256s))
    return Scores.concatenate(results)


def crop_cache(detector: Detector) -> CropCache | None:
    """The cache of the crops that the model judges; None if it judges none."""
    return CropCache(detector.geometry, detector.native_crops) if detector.native_crops else None


def _feature_cache(detector: Detector, pixels: PixelCache, condition: str) -> ArrayCache:
    """The frozen backbone's features, float32 `(D,)` per picture. Its folder may be deleted at any time."""
    assert detector.frozen
    make = partial(_features, detector, pixels, condition)
    folder = _folder(detector, pixels.folder, condition)
    return ArrayCache(folder, "feature", (detector.frozen.width,), np.float32, make, CHUNK)


class _CropFeatures:
    """The frozen backbone's features of crops, float32 `(k, D)` per large picture. Its folder, too, may be deleted."""

    def __init__(self, detector: Detector, crops: CropCache, condition: str):
        assert detector.frozen
        self._crops = crops
        make = partial(_crop_features, detector, crops, condition)
        folder = _folder(detector, crops.folder, condition)
        shape = crops.count, detector.frozen.width
        self._cache = ArrayCache(folder, "feature", shape, np.float32, make, max(1, CHUNK // crops.count))

    def ensure(self, sha256s: Sequence[str], progress: Count | None) -> None:
        """Compute what is missing for the large ones among these pictures."""
        large = compress(sha256s, self._crops.large(sha256s))
        self._cache.ensure([(sha256, NO_FILE) for sha256 in large], progress)

    def added_to(self, features: np.ndarray, sha256s: Sequence[str]) -> np.ndarray:
        """The features `(n, D)` of pictures from those of the wholes, as `Detector.scores_of` computes them."""
        large = self._crops.large(sha256s)
        if large.any():
            rows = self._cache.rows(list(compress(sha256s, large)))
            features[large] = with_crops(features[large], self._cache.read(rows))
        return features


def _folder(detector: Detector, pixels: Path, condition: str) -> Path:
    """The folder of features by model, cached pixels and condition."""
    assert detector.frozen
    key = {
        "frozen": detector.frozen.id,
        "pixels": pixels.name,
        "condition": condition,
        "recipe": CACHE_VERSION,
        "packages": digests.versions(("keras", "numpy", "pillow", "scipy", "tensorflow")),
        "code": {} if condition == CLEAN else digests.code_digests(corruptions.__name__),
    }
    return paths.cache() / "frozen_features" / f"{detector.frozen.id}-{digests.value_digest(key)[:16]}"


def _features(detector: Detector, pixels: PixelCache, condition: str, items: Sequence[PictureRef]) -> Iterator[bytes]:
    for chunk in _pictures(pixels, [sha256 for sha256, _ in items], condition):
        for record in detector.features(chunk):
            yield record.tobytes()


def _crop_features(
    detector: Detector, crops: CropCache, condition: str, items: Sequence[PictureRef]
) -> Iterator[bytes]:
    pictures = ((sha256, crops.read([sha256])[0]) for sha256, _ in items)
    worker_chunk = crops.geometry.max_batch(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES // crops.count)
    for _, part in compute.chunks(partial(_corrupt_crops, condition), pictures, worker_chunk):
        for squares in part:
            yield detector.features(squares).tobytes()


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


def _corrupt_crops(condition: str, items: Sequence[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    """Runs in a worker: the corrupted crops of pictures, which come as (sha256, crops)."""
    return [np.stack(_corrupt(condition, [(sha256, crop) for crop in crops])) for sha256, crops in items]
