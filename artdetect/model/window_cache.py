"""The cache of windows' features: what a part of a training picture looks like to the backbone.

The windows are those of the evidence, cut from the activations of the whole picture. A few of each size are drawn for
each view of a picture, by its content alone.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from artdetect.core import digests
from artdetect.model import converted_backbone
from artdetect.model.extractor import Extractor
from artdetect.model.feature_cache import CHUNK, StoredFeatures, as_float16, default_folder, pixel_records
from artdetect.model.window_grid import WindowGrid
from artdetect.pictures import content_draw, degraded_views
from artdetect.pictures.array_cache import ArrayCache

PER_SIDE = 2  # windows of each size that are drawn from a view of a picture


class WindowFeatureCache(StoredFeatures):
    """The features of some windows of one view of many pictures, float16 `(sides, PER_SIDE, D)` each.

    Args:
        extractor: How features are extracted.
        view: 0 for the clean picture, else the number of a degraded view.
        folder: The cache folder, by default beside that of the view's features.

    Attributes:
        runtime: What computes them, see `converted_backbone.ConvertedWindows`.
    """

    def __init__(self, extractor: Extractor, view: int, folder: Path | None = None):
        weights_id = extractor.identity["weights"]
        net = converted_backbone.load_windows(extractor, weights_id)
        self.runtime = net.runtime
        whole = default_folder(extractor, view, net.runtime)
        grid = WindowGrid(extractor.geometry.size)
        code = digests.code_digests("artdetect.model.window_statistics")
        key = digests.value_digest({"sides": dict(grid.sides), "per_side": PER_SIDE, "code": code})[:16]
        super().__init__(
            ArrayCache(
                folder or whole.with_name(f"{whole.name}-windows-{key}"),
                "feature",
                (len(grid.sides), PER_SIDE, net.width),
                np.float16,
                partial(pixel_records, extractor, partial(_extract, extractor, weights_id, view)),
                CHUNK,
            )
        )


def _extract(
    extractor: Extractor, weights_id: str, view: int, pictures: Sequence[tuple[str, np.ndarray]]
) -> list[bytes]:
    """Runs in a worker: the features of windows of pictures, which come as (sha256, canonical pixels)."""
    net, grid = converted_backbone.load_windows(extractor, weights_id), WindowGrid(extractor.geometry.size)
    found = []
    for sha256, canonical in pictures:
        windows = net.windows(degraded_views.degraded_view(canonical, sha256, view)[None])
        draw = content_draw.generator(f"windows of view {view} of", sha256)
        drawn = []
        for side in grid.sides:
            rows, columns = draw.integers(0, windows[str(side)].shape[1], (2, PER_SIDE))
            drawn.append(windows[str(side)][0, rows, columns])
        found.append(as_float16(extractor, np.stack(drawn)).tobytes())
    return found
