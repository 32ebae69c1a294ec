"""The evidence of a verdict: which places of a picture speak for AI, from the forward pass that gives the verdict.

A model that judges a picture by pooled statistics of activations can judge each part of it by the same statistics of
that part. `EvidenceNet` does so in windows of several sizes, and splits the margin of the whole exactly among places.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.model import pooled_net
from artdetect.model.compiled import CompiledModel, outputs_of
from artdetect.model.decision import logit
from artdetect.model.parts import Parts
from artdetect.model.pooled_net import Layers, PooledNet
from artdetect.model.probabilities import Calibration
from artdetect.model.window_grid import WindowGrid
from artdetect.model.window_statistics import WindowStatistics
from artdetect.pictures import images
from artdetect.pictures.labels import AI

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

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
    def of_keras(model: "keras.Model", size: int, parts: Parts | None = None) -> "EvidenceNet":
        """That of a Keras model, which TensorFlow runs; arguments as for `with_evidence`."""
        graph = with_evidence(model, size, parts) or model
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
        p_ai = outputs.get(P_AI, np.full_like(margin, np.nan))
        return Evidence(margin, p_ai, outputs.get(ADDITIVE), windows, self.grid.cell)

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


def with_evidence(model: "keras.Model", size: int, parts: Parts | None = None) -> "keras.Model | None":
    """The model with the evidence among its outputs, from the same forward pass; None if it has no pooled statistics.

    Args:
        model: The model: pictures -> the probabilities, or a dict of outputs by name.
        size: Side of its pictures, in pixels.
        parts: How the model judges parts; None for the head of whole pictures, without a calibration.

    Returns:
        A model whose outputs are those of `model` by name, `MARGIN` and `ADDITIVE` [N, G, G], `WINDOWS` with each side
        [N, g, g], and `P_AI` [N, G, G] where windows of some size are calibrated.
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
    statistics = WindowStatistics.of(net.blocks, features, activations, WindowGrid(size))
    return keras.Model(picture, verdict | _outputs(net, parts, statistics), name="evidence")


def _outputs(net: PooledNet, parts: Parts | None, statistics: WindowStatistics) -> "dict[str, Any]":
    """The evidence as a graph, by the names of the outputs."""
    by_side, margin = margins(net.layers if parts is None else parts.layers, parts, statistics)
    additive = statistics.additive(pooled_net.gradient(net.layers, statistics.features))
    found = {f"{WINDOWS}{side}": x for side, x in by_side.items()} | {MARGIN: margin, ADDITIVE: additive}
    calibrated = _calibrated(parts)
    if p_ai := {side: _p_ai(x, calibrated[side]) for side, x in by_side.items() if side in calibrated}:
        found[P_AI] = _covered(statistics.grid, p_ai)
    return found


def margins(layers: Layers, parts: Parts | None, statistics: WindowStatistics) -> "tuple[dict[int, Any], Any]":
    """What a head says of windows, by their side [N, g, g], and of places, by the sizes that are calibrated [N, G, G].

    Args:
        layers: The head.
        parts: Its calibrations; None if there are none, then windows of all sizes count.
        statistics: The statistics of the windows.
    """
    calibrated = _calibrated(parts)
    by_side = {side: _margin(layers, statistics, side, calibrated.get(side)) for side in statistics.grid.sides}
    counted = {side: x for side, x in by_side.items() if side in calibrated}
    return by_side, _covered(statistics.grid, counted or by_side)


def _calibrated(parts: Parts | None) -> "dict[int, Calibration]":
    return {side: found for side, found in parts.calibrations.items() if found} if parts else {}


def _margin(layers: Layers, statistics: WindowStatistics, side: int, calibration: Calibration | None) -> Any:
    """What a head says of each window, [N, g, g], divided by its temperature."""
    kernel, bias = layers[0]
    margin = pooled_net.after_first(layers, statistics.projected(side, kernel) + bias)[..., 0]
    return margin / calibration.temperature if calibration else margin


def _p_ai(margin: Any, calibration: Calibration) -> Any:
    from keras import ops

    return calibration.p_min + (calibration.p_max - calibration.p_min) * ops.sigmoid(margin)


def _covered(grid: WindowGrid, windows: "dict[int, Any]") -> Any:
    """The mean at each place of the windows that cover it, and over their sizes: [N, G, G]."""
    from keras import ops

    by_side = [ops.matmul(ops.matmul(grid.cover(side), x), grid.cover(side).T) for side, x in windows.items()]
    return sum(by_side) / len(by_side)
