"""The feature cache: what a pretrained net sees in a picture, computed once a view, then read from a memory map.

A picture's features are the mean and the standard deviation, over space, of each channel of some of the net's
activations. One folder of `records` an extractor and view, which may be deleted at any time.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artdetect import compute
from artdetect.core import digests, paths
from artdetect.core.errors import ConfigError, ModelError
from artdetect.core.progress import Count
from artdetect.model import backbones, tensorflow_setup
from artdetect.model.compiled import CompiledModel
from artdetect.pictures import degraded_views, images, pixel_cache
from artdetect.pictures.array_cache import ArrayCache, PictureRef
from artdetect.pictures.images import Geometry

if TYPE_CHECKING:
    import keras

CACHE_VERSION = 2  # part of every cached feature's key: raise it whenever a change here changes a feature
CHUNK = 256  # pictures written at once, and lost at most when killed
BATCH_BYTES = 16 * 224 * 224 * 3  # of the pictures that a worker takes at a time
EPSILON = 1e-6  # added to variances: a root has no slope at zero, where a picture is of one colour


@dataclass(frozen=True)
class Extractor:
    """What makes features of pictures: a net, the activations that are taken from it, the pictures' geometry."""

    backbone: str
    blocks: tuple[str, ...]  # names of `backbones.taps`, in the order of the features; "a..b" from a to b
    geometry: Geometry
    weights: str = backbones.DEFAULT_WEIGHTS

    @property
    def batch(self) -> int:
        """Pictures that a worker takes at a time."""
        return self.geometry.fitting(compute.WORKER_CHUNK, BATCH_BYTES)

    def statistics(self, taps: "Mapping[str, keras.KerasTensor]") -> "keras.KerasTensor":
        """The features [N, D] of activations [N, h, w, C] by name: of each block C means, then C standard deviations.

        Raises:
            ConfigError: there is no such block.
        """
        from keras import ops

        names = list(taps)
        ends = [block.partition("..")[::2] for block in self.blocks]
        if unknown := [name for first, last in ends for name in (first, last or first) if name not in taps]:
            raise ConfigError(f"{self.backbone} has no block {unknown[0]!r}; it has {', '.join(taps)}")
        spans = [names[names.index(first) : names.index(last or first) + 1] for first, last in ends]
        if not any(spans):
            raise ConfigError(f"blocks = {list(self.blocks)} names no block; {self.backbone} has {', '.join(taps)}")
        parts = []
        for name in chain.from_iterable(spans):
            x = taps[name]
            parts += [ops.mean(x, axis=(1, 2)), ops.sqrt(ops.var(x, axis=(1, 2)) + EPSILON)]
        return ops.concatenate(parts, axis=-1)

    def build(self) -> "keras.Model":
        """Pictures float32 [N, S, S, 3] in [0, 1] -> features float32 [N, D]; the net ends at the last block needed.

        Raises:
            ConfigError: there is no such net or block.
            ModelError: the weights are not at hand.
        """
        tensorflow_setup.load_tensorflow()
        import keras

        net = backbones.load(self.backbone, self.weights)
        return keras.Model(net.input, self.statistics(backbones.block_outputs(net)), name="features")


def default_folder(extractor: Extractor, view: int) -> Path:
    """Where features are kept; whatever may give other numbers has another folder."""
    key = {
        "extractor": asdict(extractor) | {"weights": backbones.weights_id(extractor.weights)},
        "view": view,
        "pixels": pixel_cache.default_folder(extractor.geometry).name,
        "recipe": CACHE_VERSION,
        "packages": digests.versions(("keras", "numpy", "tensorflow")),
        "code": digests.code_digests("artdetect.model.backbones")
        | (digests.code_digests("artdetect.pictures.degraded_views") if view else {}),
    }
    return paths.cache() / "features" / f"{extractor.backbone}-{view}-{digests.value_digest(key)[:16]}"


class FeatureCache:
    """The features of one view of many pictures, float16 `(D,)` each, kept on disk by content."""

    def __init__(self, extractor: Extractor, view: int, folder: Path | None = None):
        weights_id = backbones.weights_id(extractor.weights)
        self._records = ArrayCache(
            folder or default_folder(extractor, view),
            "feature",
            (_net(extractor, weights_id).width,),
            np.float16,
            partial(_extracted, extractor, weights_id, view),
            CHUNK,
        )

    def __len__(self) -> int:
        return len(self._records)

    def ensure(self, items: Sequence[PictureRef], progress: Count | None = None) -> None:
        """Compute what is missing of `items`, from the pixel cache, which is filled first; see `Records.ensure`.

        Raises:
            ModelError: a feature is not finite, or more than a float16 holds.
        """
        self._records.ensure(items, progress)

    def read(self, sha256s: Sequence[str]) -> np.ndarray:
        """The features of these contents (hex digests), float32 `(len(sha256s), D)`.

        Raises:
            DataError: one is not in the cache: `ensure` it first.
        """
        return self._records.read(self._records.rows(sha256s)).astype(np.float32)

    def verify(self) -> list[str]:
        """The sha256s (hex) whose record or entry is damaged, all records read; delete the folder if there are any."""
        return self._records.verify()


def _extracted(extractor: Extractor, weights_id: str, view: int, items: Sequence[PictureRef]) -> Iterator[bytes]:
    cache = pixel_cache.PixelCache(extractor.geometry)
    cache.ensure(items)
    sha256s = [sha256 for sha256, _ in items]
    pictures = ((sha256, cache.read(row)[0]) for sha256, row in zip(sha256s, cache.rows(sha256s)[:, None], strict=True))
    for _, records in compute.chunks(partial(_extract, extractor, weights_id, view), pictures, extractor.batch):
        yield from records


def _extract(
    extractor: Extractor, weights_id: str, view: int, pictures: Sequence[tuple[str, np.ndarray]]
) -> list[bytes]:
    """A worker's part: the features of pictures, which come as (sha256, canonical pixels)."""
    seen = np.stack([degraded_views.degraded_view(canonical, sha256, view) for sha256, canonical in pictures])
    with np.errstate(over="ignore"):
        features = _net(extractor, weights_id)(seen).astype(np.float16)
    if not np.isfinite(features).all():
        raise ModelError(
            f"{extractor.backbone}: features are not finite or too large: its weights are damaged, or take other blocks"
        )
    return [record.tobytes() for record in features]


class _Net(CompiledModel):
    """An extractor's model: up to a batch of pictures -> features, float32 [n, D]."""

    def __init__(self, extractor: Extractor):
        model = extractor.build()
        size = extractor.geometry.size
        super().__init__(partial(model, training=False), (size, size, 3), images.to_input)
        self.width: int = model.output_shape[-1]


_LOADING = threading.Lock()


def _net(extractor: Extractor, weights_id: str) -> _Net:
    """Loaded once a process, whichever of its threads asks first."""
    with _LOADING:
        return _loaded(extractor, weights_id)


@lru_cache(maxsize=2)
def _loaded(extractor: Extractor, weights_id: str) -> _Net:
    return _Net(extractor)
