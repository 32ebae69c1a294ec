"""The evidence of a verdict: which places of a picture speak for AI, from the forward pass that gives the verdict.

A model that judges a picture by pooled statistics of activations can judge each part of it by the same statistics of
that part. `evidence_graph` does so in windows of several sizes, and splits the margin of the whole exactly among
places. Other models judge crops.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from artdetect.model.decision import logit
from artdetect.model.window_grid import WindowGrid
from artdetect.pictures import images
from artdetect.pictures.labels import AI

if TYPE_CHECKING:
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

    def of(self, row: int) -> "Evidence":
        """That of one of the N pictures alone: N = 1."""
        one = slice(row, row + 1)
        additive = None if self.additive is None else self.additive[one]
        windows = {side: margins[one] for side, margins in self.windows.items()}
        return Evidence(self.margin[one], self.p_ai[one], additive, windows, self.cell)


class EvidenceNet:
    """A model that gives its evidence with its verdict.

    Args:
        run: The model: pictures float32 [N, S, S, 3] in [0, 1] -> outputs by name, with those of
            `evidence_graph.with_evidence` if it has pooled statistics.
        size: Side of the pictures, in pixels.
    """

    def __init__(self, run: "Callable[[Floats], Mapping[str, NDArray]]", size: int):
        self.grid = WindowGrid(size)
        self._run = run

    def outputs(self, pictures: "Floats") -> "dict[str, NDArray]":
        """The outputs of `model` by name, and those of the evidence, of pictures float32 [N, S, S, 3] in [0, 1].

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
        return {MARGIN: self.grid.covered(windows)} | {f"{WINDOWS}{side}": each for side, each in windows.items()}

    def _crop_margins(self, picture: "Floats", side: int) -> "Floats":
        """The margins of the crops at the places of windows, [g, g]."""
        from PIL import Image

        whole = Image.fromarray(np.rint(picture * 255).astype(np.uint8))
        starts = np.arange(self.grid.cells - self.grid.sides[side] + 1) * self.grid.cell
        boxes = [(left, top, left + side, top + side) for top in starts for left in starts]
        crops = [np.asarray(whole.resize(whole.size, Image.Resampling.BICUBIC, box)) for box in boxes]
        p_ai = self._run(images.to_input(np.stack(crops)))["probabilities"][:, AI]
        return logit(p_ai).astype(np.float32).reshape(len(starts), len(starts))
