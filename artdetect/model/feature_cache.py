"""The feature cache: a pretrained net's features of pictures, computed once per view and read from a memory map.

A picture's features are the mean and the standard deviation, over space, of each channel of some of the net's
activations. Each pair of extractor and view has its own folder, which may be deleted at any time.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import compress
from pathlib import Path

import numpy as np

from artdetect import compute
from artdetect.core import digests, paths
from artdetect.core.errors import ModelError
from artdetect.core.progress import Count
from artdetect.model import converted_backbone
from artdetect.model.extractor import Extractor
from artdetect.model.frozen_backbone import with_crops
from artdetect.model.onnx_runtime import OnnxRuntime
from artdetect.pictures import degraded_views, pixel_cache
from artdetect.pictures.array_cache import ArrayCache, PictureRef
from artdetect.pictures.crop_cache import CropCache

CACHE_VERSION = 4  # part of every cached feature's key: raise it when a change here alters features
CHUNK = 256  # pictures written at once, and the most that a killed process loses

Extract = Callable[[Sequence[tuple[str, np.ndarray]]], list[bytes]]  # (sha256, canonical pixels) each -> records


def default_folder(extractor: Extractor, view: int, runtime: str = OnnxRuntime.name) -> Path:
    """The cache folder. Its name depends on everything that affects the features.

    Args:
        extractor: How features are extracted.
        view: 0 for the clean picture, else the number of a degraded view.
        runtime: What computes them, see `converted_backbone.ConvertedBackbone`.
    """
    key = {
        "extractor": asdict(extractor) | extractor.identity,
        "view": view,
        "pixels": pixel_cache.default_folder(extractor.geometry).name,
        "recipe": CACHE_VERSION,
        "runtime": runtime,
        "packages": digests.versions(converted_backbone.PACKAGES),
        "code": digests.code_digests("artdetect.model.backbones")
        | digests.code_digests(converted_backbone.__name__)
        | (digests.code_digests("artdetect.pictures.degraded_views") if view else {}),
    }
    name = re.sub(r"[^\w.-]+", "-", Path(extractor.backbone).name)
    return paths.cache() / "features" / f"{name}-{view}-{digests.value_digest(key)[:16]}"


class StoredFeatures:
    """Features of many pictures in a cache of float16 records, by the sha256 of the picture file.

    Args:
        cache: The records, whose shape is that of one picture's features.
    """

    def __init__(self, cache: ArrayCache):
        self._cache = cache

    def __len__(self) -> int:
        return len(self._cache)

    def ensure(self, items: Sequence[PictureRef], progress: Count | None = None) -> None:
        """Compute the missing features of `items`, filling the pixel cache first. See `ArrayCache.ensure`.

        Raises:
            ModelError: A feature is not finite or does not fit float16.
        """
        self._cache.ensure(items, progress)

    def read(self, sha256s: Sequence[str]) -> np.ndarray:
        """The features of the pictures with these contents (hex digests), float32 `(len(sha256s), *shape)`.

        Raises:
            DataError: A picture is not in the cache. Call `ensure` first.
        """
        return self._cache.read(self._cache.rows(sha256s)).astype(np.float32)

    def verify(self) -> list[str]:
        """The sha256s (hex) of damaged records, after reading all of them. If there are any, delete the folder."""
        return self._cache.verify()


class FeatureCache(StoredFeatures):
    """The features of one view of many pictures, float16 `(D,)` each, stored by the sha256 of the picture file.

    Args:
        extractor: How features are extracted.
        view: 0 for the clean picture, else the number of a degraded view.
        folder: The cache folder, by default `default_folder`.

    Attributes:
        runtime: What computes them, see `converted_backbone.ConvertedBackbone`.
    """

    def __init__(self, extractor: Extractor, view: int, folder: Path | None = None):
        weights_id = extractor.identity["weights"]
        net = converted_backbone.load(extractor, weights_id)
        self.runtime = net.runtime
        super().__init__(
            ArrayCache(
                folder or default_folder(extractor, view, net.runtime),
                "feature",
                (net.width,),
                np.float16,
                partial(pixel_records, extractor, partial(_extract, extractor, weights_id, view)),
                CHUNK,
            )
        )


class CropFeatureCache(StoredFeatures):
    """The features of each native crop of many pictures, float16 `(k, D)` each. Pictures that are not large have none.

    Args:
        extractor: How features are extracted.
        count: Crops of each large picture, k.
        folder: The cache folder, by default beside that of the clean view.
    """

    def __init__(self, extractor: Extractor, count: int, folder: Path | None = None):
        weights_id = extractor.identity["weights"]
        net = converted_backbone.load(extractor, weights_id)
        clean = default_folder(extractor, 0, net.runtime)
        self._crops = CropCache(extractor.geometry, count)
        super().__init__(
            ArrayCache(
                folder or clean.with_name(f"{clean.name}-crops-{self._crops.folder.name}"),
                "feature",
                (count, net.width),
                np.float16,
                partial(_crop_records, extractor, weights_id, self._crops),
                max(1, CHUNK // count),
            )
        )

    def ensure(self, items: Sequence[PictureRef], progress: Count | None = None) -> None:
        """Compute the missing features of the large pictures among `items`, filling the crop cache first.

        Raises:
            ModelError: A feature is not finite or does not fit float16.
        """
        self._crops.ensure(items)
        large = self.large([sha256 for sha256, _ in items])
        super().ensure(list(compress(items, large)), progress)

    def large(self, sha256s: Sequence[str]) -> np.ndarray:
        """Which pictures with these contents (hex digests) have crops: bool `(len(sha256s),)`. Call `ensure` first."""
        return self._crops.large(sha256s)


class NativeScaleCache(FeatureCache):
    """The features of the clean pictures as a model with native crops judges them.

    Those of large pictures are `frozen_backbone.with_crops` of the whole and its crops. Those of other pictures are
    those of the whole, bit for bit.

    Args:
        extractor: How features are extracted.
        count: Crops of each large picture, at least 1.
    """

    def __init__(self, extractor: Extractor, count: int):
        super().__init__(extractor, 0)
        self.crops = CropFeatureCache(extractor, count)

    def ensure(self, items: Sequence[PictureRef], progress: Count | None = None) -> None:
        """Compute the missing features of `items`, of wholes and of crops."""
        super().ensure(items, progress)
        self.crops.ensure(items, progress)

    def read(self, sha256s: Sequence[str]) -> np.ndarray:
        """The features of the pictures with these contents (hex digests), float32 `(len(sha256s), D)`."""
        features = super().read(sha256s)
        if (large := self.crops.large(sha256s)).any():
            features[large] = with_crops(features[large], self.crops.read(list(compress(sha256s, large))))
        return features


def clean_view(extractor: Extractor, native_crops: int) -> FeatureCache:
    """The features of clean pictures as a model with this number of native crops judges them."""
    return NativeScaleCache(extractor, native_crops) if native_crops else FeatureCache(extractor, 0)


def pixel_records(extractor: Extractor, extract: Extract, items: Sequence[PictureRef]) -> Iterator[bytes]:
    """The records of pictures, in order, from their cached pixels.

    Args:
        extractor: How features are extracted.
        extract: Runs in a worker.
        items: The pictures.
    """
    cache = pixel_cache.PixelCache(extractor.geometry)
    cache.ensure(items)
    sha256s = [sha256 for sha256, _ in items]
    pictures = ((sha256, cache.read(row)[0]) for sha256, row in zip(sha256s, cache.rows(sha256s)[:, None], strict=True))
    for _, records in compute.chunks(extract, pictures, extractor.batch):
        yield from records


def _crop_records(
    extractor: Extractor, weights_id: str, crops: CropCache, items: Sequence[PictureRef]
) -> Iterator[bytes]:
    crops.ensure(items)
    pictures = ((sha256, crops.read([sha256])[0]) for sha256, _ in items)
    chunk_size = max(1, extractor.batch // crops.count)
    for _, records in compute.chunks(partial(_extract_crops, extractor, weights_id), pictures, chunk_size):
        yield from records


def _extract_crops(extractor: Extractor, weights_id: str, pictures: Sequence[tuple[str, np.ndarray]]) -> list[bytes]:
    """Runs in a worker: the features of pictures' crops, which come as (sha256, crops)."""
    return [
        b"".join(_extract(extractor, weights_id, 0, [(sha256, crop) for crop in crops])) for sha256, crops in pictures
    ]


def _extract(
    extractor: Extractor, weights_id: str, view: int, pictures: Sequence[tuple[str, np.ndarray]]
) -> list[bytes]:
    """Runs in a worker: the features of pictures, which come as (sha256, canonical pixels)."""
    views = np.stack([degraded_views.degraded_view(canonical, sha256, view) for sha256, canonical in pictures])
    features = as_float16(extractor, converted_backbone.load(extractor, weights_id).features(views))
    return [record.tobytes() for record in features]


def as_float16(extractor: Extractor, features: np.ndarray) -> np.ndarray:
    """Features as they are stored; ModelError where one is not finite or does not fit."""
    with np.errstate(over="ignore"):
        features = features.astype(np.float16)
    if not np.isfinite(features).all():
        raise ModelError(
            f"{extractor.backbone}: features are not finite or too large. Check its weights, or choose other blocks"
        )
    return features
