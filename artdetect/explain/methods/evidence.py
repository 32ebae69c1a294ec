"""The evidence of a verdict: what each part of a picture says alone, from the forward pass that gives the verdict.

See `artdetect.model.evidence`. It needs neither a baseline nor a gradient by pixels. XRAI's regions give it edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from artdetect.compute import processors
from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import EvidenceSettings, XRAISettings
from artdetect.explain.methods.artworks import enlarged, segmented_picture
from artdetect.explain.methods.explainer import Explainer
from artdetect.explain.regions import from_picture
from artdetect.explain.regions.ranking import rank
from artdetect.model.evidence_graph import evidence_net
from artdetect.pictures.labels import AI

if TYPE_CHECKING:
    import keras

    from artdetect.model.parts import Parts


class Evidence(Explainer):
    """The evidence: for each region the mean margin, in logits, of the parts of the picture around its places.

    Regions are those of XRAI, ranked by the evidence.

    Args:
        model: The model, as for every `Explainer`.
        parts: How the model judges parts, see `artdetect.model.evidence_graph.with_evidence`.
        options: `batch_size`, and the fields of `EvidenceSettings`.

    Raises:
        ModelError, ValueError: As `Explainer`; also where a picture is not square.
    """

    settings_class = EvidenceSettings

    def __init__(self, model: keras.Model, *, parts: Parts | None = None, **options: Any):
        super().__init__(model, **options)
        self.parts = parts
        self._net = lru_cache(maxsize=1)(lambda size: evidence_net(model, size, parts))

    @property
    def options(self) -> dict[str, Any]:
        """The options of every `Explainer`, and the parts."""
        return super().options | {"parts": self.parts}

    def grain(self, side: int) -> float:
        """The side of the smallest windows, as a share of the picture's."""
        return min(self._net(side).grid.sides) / side

    def _explain(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.integer],
        artworks: Sequence[NDArray[np.uint8] | None],
    ) -> list[Explanation]:
        height, width = images.shape[1:3]
        if height != width:
            raise ValueError(f"a picture to explain by its evidence must be square. Received: {list(images.shape[1:])}")
        net = self._net(height)
        evidence = net.evidence(net.outputs(images))
        scores = self.score.values(images, targets)

        def explanation(index: int) -> Explanation:
            margin = evidence.margin[index] * (1 if targets[index] == AI else -1)
            heatmap, ranks = self._on_regions(margin, images[index], artworks[index])
            p_ai = evidence.p_ai[index]
            return Explanation(
                heatmap,
                ranks,
                int(targets[index]),
                float(scores[index]),
                None,
                self.config,
                p_ai=None if np.isnan(p_ai).all() else p_ai,  # parts of no size say anything that holds
            )

        with ThreadPoolExecutor(processors()) as threads:
            return list(threads.map(explanation, range(len(images))))

    def _on_regions(
        self, margin: NDArray[np.float32], image: NDArray[np.float32], artwork: NDArray[np.uint8] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """The heatmap and the ranks of XRAI's regions, by the margin [g, g] of places."""
        regions = from_picture(segmented_picture(image, artwork, self.settings.resolution), XRAISettings.dilation)
        values = enlarged(margin.astype(np.float32), regions.shape)
        heatmap, ranks = rank(values, regions, XRAISettings.algorithm, regions.pixels_at_side(XRAISettings.min_region))
        return heatmap.astype(np.float32), ranks
