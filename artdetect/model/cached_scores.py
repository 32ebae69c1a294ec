"""What a model says of test pictures, clean or worn.

Where a part of the model is frozen, its features of a picture are computed once a condition and kept: another training
on the same backbone, such as champion and challenger, finds them there.
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

CACHE_VERSION = (
    2  # part of every kept feature's key: raise it whenever a change here or in the forward pass changes one
)
CHUNK = 128  # pictures in memory before a forward pass, and features that are lost at most when killed
JUDGED = 4096  # features in memory at a time
PIXELS = Path()  # features are made of cached pixels, not of files


def scores(
    detector: Detector,
    pixels: PixelCache,
    sha256s: Sequence[str],
    condition: str = CLEAN,
    progress: Count | None = None,
) -> Scores:
    """All that the model says of these contents (hex digests), at least one, whose pixels are cached.

    Args:
        condition: CLEAN or a name in `worn.GRID`.
        progress: called with (done, all), not counting what was kept.
    """
    if detector.frozen:
        kept = _kept(detector, pixels, condition)
        kept.ensure([(sha256, PIXELS) for sha256 in sha256s], progress)
        parts = (kept.read(kept.rows(sha256s[start : start + JUDGED])) for start in range(0, len(sha256s), JUDGED))
        return Scores.concatenate([detector.judge(part) for part in parts])
    found, done = [], 0
    for chunk in _pictures(pixels, sha256s, condition):
        found.append(detector.scores(chunk))
        done += len(chunk)
        if progress:
            progress(done, len(sha256s))
    return Scores.concatenate(found)


def _kept(detector: Detector, pixels: PixelCache, condition: str) -> ArrayCache:
    """The frozen part's features, float32 `(D,)` a picture, under a condition; the folder may be deleted any time."""
    assert detector.frozen
    key = {
        "frozen": detector.frozen.id,
        "pixels": pixels.folder.name,
        "condition": condition,
        "recipe": CACHE_VERSION,
        "packages": digests.versions(("keras", "numpy", "pillow", "scipy", "tensorflow")),
        "code": {} if condition == CLEAN else digests.code_digests(corruptions.__name__),
    }
    folder = paths.cache() / "seen" / f"{detector.frozen.id}-{digests.value_digest(key)[:16]}"
    make = partial(_made, detector, pixels, condition)
    return ArrayCache(folder, "feature", (detector.frozen.width,), np.float32, make, CHUNK)


def _made(detector: Detector, pixels: PixelCache, condition: str, items: Sequence[PictureRef]) -> Iterator[bytes]:
    for chunk in _pictures(pixels, [sha256 for sha256, _ in items], condition):
        for record in detector.features(chunk):
            yield record.tobytes()


def _pictures(pixels: PixelCache, sha256s: Sequence[str], condition: str) -> Iterator[np.ndarray]:
    """The pictures under a condition, uint8 `(n, S, S, 3)`; n is CHUNK but for the last, or as many as memory bears."""
    size = pixels.geometry.fitting(CHUNK)
    rows = pixels.rows(sha256s)
    if condition == CLEAN:
        yield from (pixels.read(rows[start : start + size]) for start in range(0, len(rows), size))
        return
    items = ((sha256, pixels.read(row)[0]) for sha256, row in zip(sha256s, rows[:, None], strict=True))
    piece = pixels.geometry.fitting(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES)
    made = chain.from_iterable(made for _, made in compute.chunks(partial(_wear, condition), items, piece))
    while chunk := list(islice(made, size)):
        yield np.stack(chunk)


def _wear(condition: str, items: Sequence[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    """A worker's part: pictures come as (sha256, canonical pixels)."""
    return [corruptions.corrupt(canonical, sha256, condition) for sha256, canonical in items]
