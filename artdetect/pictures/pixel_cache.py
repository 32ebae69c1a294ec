"""The pixel cache: each picture is decoded to its canonical geometry once, and then read from a memory map.

Each geometry has a folder with an `ArrayCache`, which may be deleted at any time.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import PIL

from artdetect import compute
from artdetect.core import paths
from artdetect.core.errors import DataError, PictureError
from artdetect.pictures import images
from artdetect.pictures.array_cache import ArrayCache, PictureRef
from artdetect.pictures.images import Geometry

CHUNK = 256  # pictures written at once: the most that a kill can lose


def default_folder(geometry: Geometry) -> Path:
    """The folder for the pixels of a geometry; it depends on the versions of the code and of Pillow."""
    key = json.dumps([geometry.as_dict(), images.CACHE_VERSION, PIL.__version__], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return paths.cache() / "pixels" / f"{geometry.size}-{geometry.fit}-{digest}"


class PixelCache(ArrayCache):
    """The canonical pixels of many pictures, uint8 `(size, size, 3)` each, cached on disk by content."""

    def __init__(self, geometry: Geometry, folder: Path | None = None):
        self.geometry = geometry
        super().__init__(
            folder or default_folder(geometry),
            "pixel",
            (geometry.size, geometry.size, 3),
            np.uint8,
            partial(_decoded, geometry),
            geometry.max_batch(CHUNK),
        )

    def load(self, sha256: str, path: Path) -> np.ndarray:
        """The pixels of one picture, uint8 `(size, size, 3)`: from the cache, or decoded without being cached.

        Raises:
            PictureError: It is not cached and its file cannot be read.
            DataError: It is not cached, or damaged in the cache, and its file has other content or cannot be read.
        """
        (row,) = self._find([sha256])
        if row < 0:
            return images.load(path, self.geometry, sha256)
        return self.read(np.array([row]), [(sha256, path)])[0]

    def contrasts(self, sha256s: Sequence[str]) -> np.ndarray:
        """`images.contrast` of the pictures with these contents (hex digests): float64 `(len(sha256s),)`.

        Raises:
            DataError: A picture is not in the cache; call `ensure` first.
        """
        return np.array([images.contrast(self.read(row)[0]) for row in self.rows(sha256s)[:, None]], np.float64)


def _decoded(geometry: Geometry, items: Sequence[PictureRef]) -> Iterator[bytes]:
    chunk_size = geometry.max_batch(compute.WORKER_CHUNK, compute.WORKER_CHUNK_BYTES)
    for _, records in compute.chunks(partial(_decode, geometry), items, chunk_size):
        yield from records


def _decode(geometry: Geometry, items: Sequence[PictureRef]) -> list[bytes]:
    """Decode the canonical pixels of each item, on a worker."""
    with indexed():
        return [images.load(path, geometry, sha256).tobytes() for sha256, path in items]


@contextmanager
def indexed() -> Iterator[None]:
    """Turn the error of a picture that can no longer be read into a DataError, because the index says that it can."""
    try:
        yield
    except PictureError as error:
        raise DataError(f"{error} (it could be read when it was indexed: run the index stage again)") from error
