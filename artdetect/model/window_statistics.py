"""The statistics of a net's activations in windows, computed together from a few local moments.

The variance in a window is the mean square less the square of the mean, both around the picture's mean, as the net's
own deviations are. So one window as large as the picture has the picture's features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.model import window_grid
from artdetect.model.extractor import EPSILON
from artdetect.model.pooled_net import PooledBlock
from artdetect.model.window_grid import WindowGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class WindowStatistics:
    """The moments of the activations behind the features of pictures, by resolution.

    Args:
        groups: The moments. Few large products are faster than many small ones, so blocks of one resolution are one.
        features: The features of the whole pictures, [N, D].
        grid: The windows.
    """

    groups: "Sequence[_Moments]"
    features: Any
    grid: WindowGrid

    @staticmethod
    def of(
        blocks: Sequence[PooledBlock], features: Any, activations: Sequence[Any], grid: WindowGrid
    ) -> "WindowStatistics":
        """The moments of the blocks' activations, [N, h, w, C] each, behind `features`."""
        from keras import ops

        grouped: dict[Any, list[tuple[Any, Any, Any, Any]]] = {}
        start = 0
        for block, x in zip(blocks, activations, strict=True):
            means = np.arange(start, start + x.shape[-1])
            deviations = means + len(means) if block.deviation else means[:0]
            start += len(means) + len(deviations)
            mean = ops.mean(x, axis=(1, 2), keepdims=True)
            squared = (
                grid.reduced(ops.square(x - mean)) + EPSILON if block.deviation else None
            )  # as the net's own variance has it
            centred = grid.reduced(x) - mean  # keeps the digits of small variances
            key = (*centred.shape[1:3], block.deviation)
            grouped.setdefault(key, []).append((centred, squared, means, deviations))
        groups = [
            _Moments(
                _joined([centred for centred, *_ in group]),
                _joined([squared for _, squared, *_ in group]) if deviation else None,
                np.concatenate([means for *_, means, _ in group]),
                np.concatenate([deviations for *_, deviations in group]),
            )
            for (*_, deviation), group in grouped.items()
        ]
        return WindowStatistics(groups, features, grid)

    def within(self, side: int) -> Any:
        """The features of each window of a size, [N, g, g, D]."""
        from keras import ops

        parts = [part for group in self.groups for part in group.within(side, self.features, self.grid)]
        places = np.concatenate([places for places, _ in parts])
        return ops.take(_joined([part for _, part in parts]), np.argsort(places), axis=-1)

    def projected(self, side: int, kernel: "NDArray[np.float32]") -> Any:
        """The features of each window times `kernel` [D, K]: [N, g, g, K]. It is much faster than `within`."""
        return sum(group.projected(side, kernel, self.features, self.grid) for group in self.groups)

    def additive(self, slope: Any) -> Any:
        """What each place adds to a sum that is linear in the features, [N, G, G].

        The places of a picture sum to that of features [N, D] times `slope` [N, D]. A deviation is shared out by the
        squares that it is the root of.
        """
        shares = [group.additive(slope, self.features, self.grid) for group in self.groups]
        return sum(shares) / self.grid.cells**2


@dataclass(frozen=True)
class _Moments:
    """First and second moments of activations, around their means over the picture, at one resolution.

    Args:
        centred: Activations less their means over the picture, [N, h, w, C].
        squared: Means of the squares of these, plus `EPSILON`, [N, h, w, C]; None where deviations are no features.
        means: The places [C] of their means among the features.
        deviations: The places of their deviations.
    """

    centred: Any
    squared: Any
    means: "NDArray[np.int64]"
    deviations: "NDArray[np.int64]"

    def within(self, side: int, features: Any, grid: WindowGrid) -> "list[tuple[NDArray[np.int64], Any]]":
        """Means and, maybe, deviations in windows, [N, g, g, C] each, after their places [C] among the features."""
        local = grid.within(self.centred, side)
        found = [(self.means, local + _everywhere(features, self.means))]
        return found if self.squared is None else [*found, (self.deviations, self._deviations(local, side, grid))]

    def projected(self, side: int, kernel: "NDArray[np.float32]", features: Any, grid: WindowGrid) -> Any:
        """See `WindowStatistics.projected`. What is linear is projected before it is pooled."""
        from keras import ops

        of_means = kernel[self.means]
        whole = ops.matmul(ops.take(features, self.means, axis=1), of_means)[:, None, None, :]
        found = grid.within(_combined(self.centred, of_means), side) + whole
        if self.squared is not None:
            deviations = self._deviations(grid.within(self.centred, side), side, grid)
            found += _combined(deviations, kernel[self.deviations])
        return found

    def _deviations(self, local: Any, side: int, grid: WindowGrid) -> Any:
        """The deviations in windows [N, g, g, C] whose centred means are `local`."""
        from keras import ops

        return ops.sqrt(ops.maximum(grid.within(self.squared, side) - ops.square(local), EPSILON))

    def additive(self, slope: Any, features: Any, grid: WindowGrid) -> Any:
        """See `WindowStatistics.additive`, times the number of places."""
        from keras import ops

        of_means = ops.take(slope, self.means, axis=1)
        share = _weighed(self.centred, of_means)
        share += ops.sum(of_means * ops.take(features, self.means, axis=1), axis=1)[:, None, None, None]
        if self.squared is not None:
            of_squares = ops.take(slope, self.deviations, axis=1) / ops.take(features, self.deviations, axis=1)
            share += _weighed(self.squared, of_squares)
        return window_grid.pooled(share, grid.each_cell)[..., 0]


def _everywhere(values: Any, places: "NDArray[np.int64]") -> Any:
    """Some [C] of the values [N, D] of pictures, for all places of a picture: [N, 1, 1, C]."""
    from keras import ops

    return ops.take(values, places, axis=1)[:, None, None, :]


def _combined(x: Any, kernel: "NDArray[np.float32]") -> Any:
    """x [N, h, w, C] times `kernel` [C, K]: [N, h, w, K], as a convolution, before which ONNX Runtime moves no axis."""
    from keras import ops

    return ops.conv(x, kernel[None, None])


def _weighed(x: Any, weights: Any) -> Any:
    """The sums over channels of x [N, h, w, C] times weights [N, C], which differ by picture: [N, h, w, 1]."""
    from keras import ops

    _, height, width, channels = x.shape
    flat = ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (-1, channels, height * width))  # as ONNX Runtime has it
    return ops.reshape(ops.matmul(weights[:, None, :], flat), (-1, height, width, 1))


def _joined(parts: list[Any]) -> Any:
    """The parts along their channels."""
    from keras import ops

    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)
