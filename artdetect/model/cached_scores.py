"""A model's scores of test pictures, clean or corrupted, with the frozen backbone's features cached.

The features of a picture under a condition are computed once and serve every model on the same backbone, such as
champion and challenger. A model without a frozen backbone is scored without a cache.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import compress
from pathlib import Path
from typing import TypeVar

import numpy as np

from artdetect import compute
from artdetect.core import digests, paths
from artdetect.core.progress import Count
from artdetect.model.detector import Detector
from artdetect.model.frozen_backbone import with_crops
from artdetect.model.scores import Scores
from artdetect.pictures import corruptions
from artdetect.pictures.array_cache import ArrayCache, PictureRef
from artdetect.pictures.corruptions import CLEAN
from artdetect.pictures.crop_cache import CropCache
from artdetect.pictures.pixel_cache import PixelCache

Picture = tuple[str, np.ndarray]  # sha256 and pixels
R = TypeVar("R")

CACHE_VERSION = 4  # part of every cached feature's key: raise it when a change, here or in the model, alters features
CHUNK = 128  # features written at once, and the most that a killed process loses
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
    for chunk, scored in _spread(partial(_scores_of, detector, condition), pixels, sha256s):
        results.append(scored)
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
        "runtime": detector.runtime.name,
        "packages": digests.versions(("numpy", "pillow", "scipy", *detector.runtime.packages)),
        "code": {} if condition == CLEAN else digests.code_digests(corruptions.__name__),
    }
    return paths.cache() / "frozen_features" / f"{detector.frozen.id}-{digests.value_digest(key)[:16]}"


def _features(detector: Detector, pixels: PixelCache, condition: str, items: Sequence[PictureRef]) -> Iterator[bytes]:
    sha256s = [sha256 for sha256, _ in items]
    for _, records in _spread(partial(_features_of, detector, condition), pixels, sha256s):
        yield from records


def _crop_features(
    detector: Detector, crops: CropCache, condition: str, items: Sequence[PictureRef]
) -> Iterator[bytes]:
    pictures = ((sha256, crops.read([sha256])[0]) for sha256, _ in items)
    size = crops.geometry.max_batch(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES // crops.count)
    for _, records in compute.chunks(partial(_features_of_crops, detector, condition), pictures, size):
        yield from records


def _spread(
    work: Callable[[Sequence[Picture]], R], pixels: PixelCache, sha256s: Sequence[str]
) -> Iterator[tuple[tuple[Picture, ...], R]]:
    """Work on chunks of pictures, which come as (sha256, canonical pixels)."""
    rows = pixels.rows(sha256s)
    pictures = ((sha256, pixels.read(row)[0]) for sha256, row in zip(sha256s, rows[:, None], strict=True))
    return compute.chunks(work, pictures, pixels.geometry.max_batch(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES))


def _scores_of(detector: Detector, condition: str, pictures: Sequence[Picture]) -> Scores:
    """Runs in a worker: the scores of pictures under a condition."""
    return detector.scores(_corrupted(condition, pictures))


def _features_of(detector: Detector, condition: str, pictures: Sequence[Picture]) -> list[bytes]:
    """Runs in a worker: the features of pictures under a condition."""
    return [record.tobytes() for record in detector.features(_corrupted(condition, pictures))]


def _features_of_crops(detector: Detector, condition: str, pictures: Sequence[Picture]) -> list[bytes]:
    """Runs in a worker: the features of pictures' crops, which come as (sha256, crops), under a condition."""
    return [
        detector.features(_corrupted(condition, [(sha256, crop) for crop in crops])).tobytes()
        for sha256, crops in pictures
    ]


def _corrupted(condition: str, pictures: Sequence[Picture]) -> np.ndarray:
    """The pixels of pictures under a condition, uint8 `(n, S, S, 3)`."""
    if condition == CLEAN:
        return np.stack([canonical for _, canonical in pictures])
    return np.stack([corruptions.corrupt(canonical, sha256, condition) for sha256, canonical in pictures])
