"""The evidence of a verdict: which places of a picture speak for AI, from the forward pass that gives the verdict.

A model that judges a picture by pooled statistics of activations can judge each part of it by the same statistics of
that part. `EvidenceNet` does so in windows of several sizes, and splits the margin of the whole exactly among places.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.model import pooled_net, window_grid
from artdetect.model.compiled import CompiledModel, outputs_of
from artdetect.model.decision import logit
from artdetect.model.pooled_net import PooledNet
from artdetect.model.window_grid import WindowGrid
from artdetect.pictures import images
from artdetect.pictures.labels import AI

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

EPSILON = 1e-6  # that of `feature_cache`
MARGIN, ADDITIVE, P_AI, WINDOWS = "evidence", "evidence_additive", "evidence_p_ai", "evidence_windows_"  # of outputs


@dataclass(frozen=True)
class Evidence:
    """What the places of N pictures say. A place is one of G x G cells.

    Args:
        margin: float32 [N, G, G], the logit of AI minus that of human of the parts around each place, the mean over the
            sizes of windows. Positive values speak for AI.
        p_ai: float32 [N, G, G], the calibrated p(AI) of these parts alone; NaN where parts say nothing that holds.
        additive: float32 [N, G, G]: they sum to the margin of the whole picture less the head's bias. Of a head that is
            not linear, the bias is what its tangent at the picture's features leaves. None where a model has none.
        windows: Side in pixels of the model's picture -> the margins of the windows of this size, float32 [N, g, g].
        cell: Side of a place, in pixels of the model's picture.
    """

    margin: "Floats"
    p_ai: "Floats"
    additive: "Floats | None"
    windows: "Mapping[int, Floats]"
    cell: float


class EvidenceNet:
    """A model that gives its evidence with its verdict.

    Args:
        run: The model: pictures float32 [N, S, S, 3] in [0, 1] -> outputs by name, with those of `with_evidence` if it
            has pooled statistics.
        size: Side of the pictures, in pixels.
    """

    def __init__(self, run: "Callable[[Floats], Mapping[str, NDArray]]", size: int):
        self.grid = WindowGrid(size)
        self._run = run

    @staticmethod
    def of_keras(model: "keras.Model", size: int) -> "EvidenceNet":
        """That of a Keras model, which TensorFlow runs."""
        graph = with_evidence(model, size) or model
        return EvidenceNet(CompiledModel(partial(outputs_of, graph), (size, size, 3), np.asarray), size)

    def outputs(self, pictures: "Floats") -> "dict[str, NDArray]":
        """The outputs of `model` by name, and those of `with_evidence`, of pictures float32 [N, S, S, 3] in [0, 1].

        Where the model has no pooled statistics, the evidence is that of crops, each enlarged to a picture.
        """
        named = dict(self._run(pictures))
        return named if MARGIN in named else named | self._of_crops(pictures)

    def evidence(self, outputs: "Mapping[str, NDArray]") -> Evidence:
        """The evidence among such outputs."""
        windows = {side: outputs[f"{WINDOWS}{side}"] for side in self.grid.sides}
        margin = outputs[MARGIN]
        return Evidence(margin, np.full_like(margin, np.nan), outputs.get(ADDITIVE), windows, self.grid.cell)

    def _of_crops(self, pictures: "Floats") -> "dict[str, NDArray]":
        windows = {side: np.stack([self._crop_margins(one, side) for one in pictures]) for side in self.grid.sides}
        covered = [self.grid.cover(side) @ margins @ self.grid.cover(side).T for side, margins in windows.items()]
        return {MARGIN: np.mean(covered, axis=0)} | {f"{WINDOWS}{side}": each for side, each in windows.items()}

    def _crop_margins(self, picture: "Floats", side: int) -> "Floats":
        """The margins of the crops at the places of windows, [g, g]."""
        from PIL import Image

        whole = Image.fromarray(np.rint(picture * 255).astype(np.uint8))
        starts = np.arange(self.grid.cells - self.grid.sides[side] + 1) * self.grid.cell
        boxes = [(left, top, left + side, top + side) for top in starts for left in starts]
        crops = [whole.resize(whole.size, Image.Resampling.BICUBIC, box) for box in boxes]
        p_ai = self._run(images.to_input(np.stack(crops)))["probabilities"][:, AI]
        return logit(p_ai).astype(np.float32).reshape(len(starts), len(starts))


def with_evidence(model: "keras.Model", size: int) -> "keras.Model | None":
    """The model with the evidence among its outputs, from the same forward pass; None if it has no pooled statistics.

    Args:
        model: The model: pictures -> the probabilities, or a dict of outputs by name.
        size: Side of its pictures, in pixels.

    Returns:
        A model whose outputs are those of `model` by name, `MARGIN` and `ADDITIVE` [N, G, G], and `WINDOWS` with each
        side [N, g, g].
    """
    import keras

    net = PooledNet.of(model)
    if net is None:
        return None
    inner = keras.Model(net.picture, [net.features, *(block.activations for block in net.blocks)])
    picture = keras.Input((size, size, 3), name="picture")
    features, *activations = inner(picture)
    outputs = model(picture) if net.judged is None else keras.Model(net.judged, model.output)(features)
    verdict = outputs if isinstance(outputs, dict) else {"probabilities": outputs}
    return keras.Model(picture, verdict | _outputs(net, features, activations, WindowGrid(size)), name="evidence")


def _outputs(net: PooledNet, features: Any, activations: "list[Any]", grid: WindowGrid) -> "dict[str, Any]":
    """The evidence as a graph, by the names of the outputs.

    Args:
        net: The model's parts.
        features: The features of pictures, [N, D].
        activations: The activations of the net's blocks, [N, h, w, C] each.
        grid: The windows.
    """
    from keras import ops

    kernel, bias = net.layers[0]
    slope = pooled_net.gradient(net.layers, features)
    additive: Any = 0.0
    windows: dict[int, Any] = dict.fromkeys(grid.sides, 0.0)
    for group in _moments(net, features, activations, grid):
        additive += group.additive(features, slope, grid)
        for side in windows:
            windows[side] += group.first_layer(features, kernel, partial(grid.windows, side))
    margins = {side: pooled_net.after_first(net.layers, x + bias)[..., 0] for side, x in windows.items()}
    covered = [ops.matmul(ops.matmul(grid.cover(side), margins[side]), grid.cover(side).T) for side in margins]
    by_side = {f"{WINDOWS}{side}": margin for side, margin in margins.items()}
    return {MARGIN: sum(covered) / len(covered), ADDITIVE: additive / grid.cells**2, **by_side}


def _moments(net: PooledNet, features: Any, activations: "list[Any]", grid: WindowGrid) -> "list[_Moments]":
    """The local moments of all blocks, those of one resolution together: few large products are faster than many."""
    from keras import ops

    groups: dict[Any, list[tuple[Any, Any, Any, Any]]] = {}
    start = 0
    for block, x in zip(net.blocks, activations, strict=True):
        channels = x.shape[-1]
        means, deviations = np.arange(start, start + channels), np.arange(start + channels, start + 2 * channels)
        start += channels * (2 if block.deviation else 1)
        of_picture = features[:, None, None, means[0] : means[-1] + 1]
        squared = grid.reduced(ops.square(x - of_picture)) if block.deviation else None
        reduced = grid.reduced(x) - of_picture  # centred: keeps the digits of small variances
        key = (*reduced.shape[1:3], block.deviation)
        groups.setdefault(key, []).append((reduced, squared, means, deviations if block.deviation else means[:0]))
    return [
        _Moments(
            _joined([centred for centred, *_ in group]),
            _joined([squared for _, squared, *_ in group]) if deviation else None,
            np.concatenate([means for *_, means, _ in group]),
            np.concatenate([deviations for *_, deviations in group]),
        )
        for (*_, deviation), group in groups.items()
    ]


@dataclass(frozen=True)
class _Moments:
    """First and second moments of activations, around their means over the picture, at one resolution.

    Args:
        centred: Activations less their means over the picture, [N, h, w, C].
        squared: Means of the squares of these, [N, h, w, C]; None where deviations are no features.
        means: The places [C] of their means among the features.
        deviations: The places of their deviations.
    """

    centred: Any
    squared: Any
    means: "NDArray[np.int64]"
    deviations: "NDArray[np.int64]"

    def additive(self, features: Any, slope: Any, grid: WindowGrid) -> Any:
        """What each place adds to the margin, times the number of places: [N, G, G]."""
        from keras import ops

        weights = ops.take(slope, self.means, axis=1)
        values, constant = self.centred, ops.sum(ops.take(features, self.means, axis=1) * weights, axis=1)
        if self.squared is not None:
            deviation = ops.take(features, self.deviations, axis=1)
            of_squares = ops.divide(ops.take(slope, self.deviations, axis=1), deviation)
            values = ops.concatenate([values, self.squared], axis=-1)
            constant += EPSILON * ops.sum(of_squares, axis=1)
            weights = ops.concatenate([weights, of_squares], axis=1)
        _, height, width, channels = values.shape
        share = ops.matmul(ops.reshape(values, (-1, height * width, channels)), weights[..., None])
        share = ops.reshape(share, (-1, height, width, 1)) + constant[:, None, None, None]
        return window_grid.pooled(share, grid.each_cell)[..., 0]

    def first_layer(self, features: Any, kernel: "Floats", windows: "Callable[[int], Floats]") -> Any:
        """What these add to the first layer of a head with this kernel [D, K] in each window: [N, g, g, K]."""
        from keras import ops

        of_mean = kernel[self.means]
        local = window_grid.pooled(self.centred, windows)
        whole = ops.matmul(ops.take(features, self.means, axis=1), of_mean)[:, None, None, :]
        total = ops.matmul(local, of_mean) + whole
        if self.squared is not None:
            variance = ops.maximum(window_grid.pooled(self.squared, windows) - ops.square(local), 0.0)
            total += ops.matmul(ops.sqrt(variance + EPSILON), kernel[self.deviations])
        return total


def _joined(parts: "list[Any]") -> Any:
    """The parts along their channels."""
    from keras import ops

    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)
