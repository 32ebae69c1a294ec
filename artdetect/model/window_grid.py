"""Square windows on a picture, and the statistics of a net's activations in them.

A picture is divided into G x G cells. A window covers k x k of them, and there is one at every cell where it fits. An
activation counts in a window by the share of its area that lies inside, so that nets of any resolution have the same
windows. Where activations are the cells, windows are an average pooling; else they are products with small constant
matrices. Both are cheap and need no custom layers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_CELL = 4  # smallest side of a cell, in pixels
CELLS = (14, 16)  # in a row: of 16 pixels at 224 and 256. With 28 at 224, the evidence costs 0.6 of the verdict
STRIDE = 8  # pixels between activations that fill the cells evenly where possible: at 256 that saves half the evidence
SIDES = (64, 96)  # of windows, in pixels of the model's picture: larger ones find no more, and cost more


@dataclass(frozen=True)
class WindowGrid:
    """The windows of pictures of one size.

    Args:
        size: Side of the model's picture, in pixels.
    """

    size: int

    @property
    def cells(self) -> int:
        """Cells in a row, G: where activations `STRIDE` pixels apart, and closer ones, fill them evenly if possible."""
        even = (count for count in CELLS if self.size % (count * STRIDE) == 0)
        return max(1, min(next(even, CELLS[0]), self.size // MIN_CELL))

    @property
    def cell(self) -> float:
        """Side of a cell, in pixels."""
        return self.size / self.cells

    @cached_property
    def sides(self) -> Mapping[int, int]:
        """Side of the windows in pixels -> in cells, k. Where none of `SIDES` fits, a third of the picture's."""
        fitting = {max(1, round(side / self.cell)): side for side in SIDES if side < self.size}
        cells = fitting or {max(1, self.cells // 3): 0}
        return {round(count * self.cell): count for count in cells}

    def windows(self, side: int, rows: int) -> "NDArray[np.float32]":
        """How much each of `rows` rows of activations counts in each row of windows: float32 [g, rows], each sums to 1.

        Args:
            side: Side of the windows: a key of `sides`.
            rows: Rows of the activations, h.
        """
        count = self.sides[side]
        return _overlaps(self.cells, count, rows)

    def each_cell(self, rows: int) -> "NDArray[np.float32]":
        """The same for the cells: float32 [G, rows]."""
        return _overlaps(self.cells, 1, rows)

    def within(self, x: Any, side: int) -> Any:
        """Means of activations [N, h, w, C] in the windows of a size, [N, g, g, C]."""
        from keras import ops

        if tuple(x.shape[1:3]) == (self.cells, self.cells):
            return ops.average_pool(x, self.sides[side], strides=1)  # the same, faster
        return pooled(x, partial(self.windows, side))

    def reduced(self, x: Any) -> Any:
        """Activations [N, h, w, C] as means of cells where they are finer than these: windows of both are the same."""
        from keras import ops

        height, width = x.shape[1:3]
        if min(height, width) <= self.cells:
            return x
        if height == width and height % self.cells == 0:  # the same, faster
            return ops.average_pool(x, height // self.cells)
        return pooled(x, self.each_cell)

    def cover(self, side: int) -> "NDArray[np.float32]":
        """How much each window counts in each cell: float32 [G, g], each row sums to 1.

        A window counts more in its middle: its weight falls to its edges in a straight line.
        """
        count = self.sides[side]
        profile = np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1))
        weights = np.zeros((self.cells, self.cells - count + 1))
        for start in range(weights.shape[1]):
            weights[start : start + count, start] = profile
        return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)

    def covered(self, windows: "Mapping[int, NDArray[np.float32]]") -> "NDArray[np.float32]":
        """The mean at each place of the windows that cover it, and over their sizes: [..., G, G].

        Args:
            windows: Side of the windows -> their values, [..., g, g].
        """
        by_side = [self.cover(side) @ values @ self.cover(side).T for side, values in windows.items()]
        return np.mean(by_side, axis=0)


def _overlaps(cells: int, count: int, rows: int) -> "NDArray[np.float32]":
    """The share of each of `rows` equal intervals in each run of `count` of `cells` equal intervals."""
    starts = np.arange(cells - count + 1)[:, None] / cells
    edges = np.arange(rows + 1) / rows
    inside = np.minimum(starts + count / cells, edges[1:]) - np.maximum(starts, edges[:-1])
    return (np.maximum(inside, 0) * cells / count).astype(np.float32)


def pooled(x: Any, shares: "Callable[[int], NDArray[np.float32]]") -> Any:
    """Means of activations x [N, h, w, C] in windows or cells: [N, g, g, C].

    Args:
        x: The activations.
        shares: h -> how much each row counts in each row of windows, [g, h]; likewise for columns.
    """
    from keras import ops

    _, height, width, channels = x.shape
    rows, columns = shares(height), shares(width)
    by_row = ops.matmul(rows, ops.reshape(x, (-1, height, width * channels)))
    return ops.matmul(columns, ops.reshape(by_row, (-1, len(rows), width, channels)))
