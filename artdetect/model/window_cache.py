"""The cache of windows' features: what a part of a training picture looks like to the backbone.

The windows are those of the evidence, cut from the activations of the whole picture. A few of each size are drawn for
each view of a picture, by its content alone.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artdetect.core import digests
from artdetect.model.compiled import CompiledModel
from artdetect.model.extractor import Extractor
from artdetect.model.feature_cache import CHUNK, StoredFeatures, as_float16, default_folder, pixel_records
from artdetect.model.pooled_net import blocks_behind
from artdetect.model.window_grid import WindowGrid
from artdetect.model.window_statistics import WindowStatistics
from artdetect.pictures import content_draw, degraded_views, images
from artdetect.pictures.array_cache import ArrayCache

if TYPE_CHECKING:
    import keras

PER_SIDE = 2  # windows of each size that are drawn from a view of a picture


class WindowFeatureCache(StoredFeatures):
    """The features of some windows of one view of many pictures, float16 `(sides, PER_SIDE, D)` each.

    Args:
        extractor: How features are extracted.
        view: 0 for the clean picture, else the number of a degraded view.
        folder: The cache folder, by default beside that of the view's features.
    """

    def __init__(self, extractor: Extractor, view: int, folder: Path | None = None):
        whole = default_folder(extractor, view)
        grid = WindowGrid(extractor.geometry.size)
        code = digests.code_digests("artdetect.model.window_statistics")
        key = digests.value_digest({"sides": dict(grid.sides), "per_side": PER_SIDE, "code": code})[:16]
        super().__init__(
            ArrayCache(
                folder or whole.with_name(f"{whole.name}-windows-{key}"),
                "feature",
                (len(grid.sides), PER_SIDE, _net(extractor).width),
                np.float16,
                partial(pixel_records, extractor, partial(_extract, extractor, view)),
                CHUNK,
            )
        )


def window_statistics(net: "keras.Model", size: int) -> "tuple[keras.KerasTensor, WindowStatistics]":
    """The statistics in windows of a net's activations, as a graph on its input, which is returned with them.

    Args:
        net: The net, whose output is the pooled statistics of its activations.
        size: Side of the pictures, in pixels.
    """
    import keras

    blocks = blocks_behind(net.output)
    inner = keras.Model(net.input, [net.output, *(block.activations for block in blocks)])
    picture = keras.Input((size, size, 3), name="picture")
    features, *activations = inner(picture)
    return picture, WindowStatistics.of(blocks, features, activations, WindowGrid(size))


def _extract(extractor: Extractor, view: int, pictures: Sequence[tuple[str, np.ndarray]]) -> list[bytes]:
    """Runs in a worker: the features of windows of pictures, which come as (sha256, canonical pixels)."""
    net, grid = _net(extractor), WindowGrid(extractor.geometry.size)
    found = []
    for sha256, canonical in pictures:
        windows = net(degraded_views.degraded_view(canonical, sha256, view)[None])
        draw = content_draw.generator(f"windows of view {view} of", sha256)
        drawn = []
        for side in grid.sides:
            rows, columns = draw.integers(0, windows[str(side)].shape[1], (2, PER_SIDE))
            drawn.append(windows[str(side)][0, rows, columns])
        found.append(as_float16(extractor, np.stack(drawn)).tobytes())
    return found


class _Net(CompiledModel):
    """An extractor's compiled net: pictures -> side of windows -> their features, float32 [n, g, g, D]."""

    def __init__(self, extractor: Extractor):
        import keras

        size, net = extractor.geometry.size, extractor.build()
        picture, statistics = window_statistics(net, size)
        windows = {str(side): statistics.within(side) for side in statistics.grid.sides}
        super().__init__(partial(keras.Model(picture, windows), training=False), (size, size, 3), images.to_input)
        self.width: int = net.output_shape[-1]


@lru_cache(maxsize=1)
def _net(extractor: Extractor) -> _Net:
    """The extractor's net, loaded once per process."""
    return _Net(extractor)
