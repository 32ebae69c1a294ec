"""The evidence of a verdict as a Keras graph, on top of the forward pass that gives the verdict; see `evidence`."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.model import pooled_net
from artdetect.model.compiled import CompiledModel, outputs_of
from artdetect.model.evidence import ADDITIVE, MARGIN, P_AI, WINDOWS, EvidenceNet
from artdetect.model.parts import Parts
from artdetect.model.pooled_net import Layers, PooledNet
from artdetect.model.probabilities import Calibration
from artdetect.model.window_grid import WindowGrid
from artdetect.model.window_statistics import WindowStatistics

if TYPE_CHECKING:
    import keras


def evidence_net(model: "keras.Model", size: int, parts: Parts | None = None) -> EvidenceNet:
    """The `EvidenceNet` of a Keras model, which TensorFlow runs; arguments as for `with_evidence`."""
    graph = with_evidence(model, size, parts) or model
    return EvidenceNet(CompiledModel(partial(outputs_of, graph), (size, size, 3), np.asarray), size)


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
    calibrated = parts.calibrated if parts else {}
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
    calibrated = parts.calibrated if parts else {}
    by_side = {side: _margin(layers, statistics, side, calibrated.get(side)) for side in statistics.grid.sides}
    counted = {side: x for side, x in by_side.items() if side in calibrated}
    return by_side, _covered(statistics.grid, counted or by_side)


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
