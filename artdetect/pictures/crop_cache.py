"""The crop cache: the native crops of large pictures, cut once, and then read from a memory map.

Each geometry and number of crops has a folder. A small cache of all pictures' sides says which ones are large. The
folders may be deleted at any time.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import compress
from pathlib import Path

import numpy as np
import PIL

from artdetect import compute
from artdetect.core import digests, paths
from artdetect.core.progress import Count
from artdetect.pictures import images, native_crops, picture_views
from artdetect.pictures.array_cache import ArrayCache, PictureRef
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import indexed

CHUNK = 256  # crops written at once: the most that a kill can lose
SIDES_CHUNK = 4096


def default_folder(geometry: Geometry, count: int) -> Path:
    """The folder for `count` crops a picture; it depends on the versions of the code and of Pillow."""
    code = digests.code_digests(native_crops.__name__)
    key = json.dumps([geometry.as_dict(), count, images.CACHE_VERSION, PIL.__version__, code], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return paths.cache() / "crops" / f"{geometry.size}-{geometry.fit}-{count}-{digest}"


class CropCache:
    """The native crops of many pictures, cached on disk by content. Pictures that are not large have none.

    Args:
        geometry: The geometry of the whole pictures; crops have its size.
        count: Crops of each large picture, k, 1 to `native_crops.MAX_CROPS`.
        folder: The cache folder, by default `default_folder`.
    """

    def __init__(self, geometry: Geometry, count: int, folder: Path | None = None):
        self.geometry = geometry
        self.count = count
        self.folder = folder or default_folder(geometry, count)
        self._sides = ArrayCache(paths.cache() / "crops" / "sides", "side", (1,), np.int32, _measured, SIDES_CHUNK)
        shape = count, geometry.size, geometry.size, 3
        chunk = max(1, geometry.max_batch(CHUNK) // count)
        self._crops = ArrayCache(self.folder, "crop", shape, np.uint8, partial(_cut, geometry, count), chunk)

    def ensure(self, items: Sequence[PictureRef], progress: Count | None = None) -> None:
        """Cut the missing crops of the large pictures among `items`. See `ArrayCache.ensure`."""
        self._sides.ensure(items)
        large = self.large([sha256 for sha256, _ in items])
        self._crops.ensure(list(compress(items, large)), progress)

    def large(self, sha256s: Sequence[str]) -> np.ndarray:
        """Which pictures with these contents (hex digests) have crops: bool `(len(sha256s),)`.

        Raises:
            DataError: A picture's side is not known; call `ensure` first.
        """
        sides = self._sides.read(self._sides.rows(sha256s))[:, 0]
        return native_crops.is_large(sides, self.geometry.size)

    def read(self, sha256s: Sequence[str]) -> np.ndarray:
        """The crops of the large pictures with these contents (hex digests): uint8 `(len(sha256s), k, S, S, 3)`.

        Raises:
            DataError: A picture's crops are not in the cache; call `ensure` first.
        """
        return self._crops.read(self._crops.rows(sha256s))


def _measured(items: Sequence[PictureRef]) -> Iterator[bytes]:
    for _, records in compute.chunks(_measure, items, compute.WORKER_CHUNK):
        yield from records


def _measure(items: Sequence[PictureRef]) -> list[bytes]:
    """The shorter side of each picture, int32, on a worker."""
    with indexed():
        return [np.int32(picture_views.shorter_side(path, sha256)).tobytes() for sha256, path in items]


def _cut(geometry: Geometry, count: int, items: Sequence[PictureRef]) -> Iterator[bytes]:
    chunk_size = geometry.max_batch(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES // count)
    for _, records in compute.chunks(partial(_crops, geometry, count), items, chunk_size):
        yield from records


def _crops(geometry: Geometry, count: int, items: Sequence[PictureRef]) -> list[bytes]:
    """The crops of each picture, on a worker."""
    with indexed():
        return [picture_views.load(path, geometry, count, sha256).crops.tobytes() for sha256, path in items]
