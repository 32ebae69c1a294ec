"""The evidence of a verdict: what each part of a picture says alone, from the forward pass that gives the verdict.

See `artdetect.model.evidence`. It needs neither a baseline nor a gradient by pixels. XRAI's regions give it edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from artdetect.compute import processors
from artdetect.core.errors import ModelError
from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import EvidenceSettings, XRAISettings
from artdetect.explain.methods.artworks import enlarged, segmented_picture
from artdetect.explain.methods.explainer import Explainer
from artdetect.explain.regions import from_picture
from artdetect.explain.regions.ranking import rank
from artdetect.model import evidence_graph
from artdetect.model.decision import logit
from artdetect.model.detector import Detector
from artdetect.pictures.labels import AI, HUMAN

if TYPE_CHECKING:
    import keras

    from artdetect.model.evidence import EvidenceNet
    from artdetect.model.parts import Parts


class Evidence(Explainer):
    """The evidence: for each region the mean margin, in logits, of the parts of the picture around its places.

    Regions are those of XRAI, ranked by the evidence. The score is the margin that the verdict's probability has, or
    with target "probability" that itself. One forward pass gives all.

    Args:
        model: A detector, which needs no TensorFlow if it has ONNX graphs; or a Keras model, as for every `Explainer`.
        parts: How a Keras model judges parts, see `artdetect.model.evidence_graph.with_evidence`.
        options: `batch_size`, and the fields of `EvidenceSettings`.

    Raises:
        ModelError, ValueError: As `Explainer`; also where a picture is not square.
    """

    settings_class = EvidenceSettings

    def __init__(self, model: keras.Model | Detector, *, parts: Parts | None = None, **options: Any):
        self._detector = model if isinstance(model, Detector) else None
        self.parts = self._detector.parts if self._detector else parts
        super().__init__(model, **options)

    def _check_model(self) -> None:
        if not self._detector:
            super()._check_model()

    @property
    def model(self) -> keras.Model:
        """The Keras model. That of a detector is loaded when it is first needed."""
        return self._detector.classifier if self._detector else self._model

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Height, width and channels of the model's pictures; None where any will do."""
        return (*2 * [self._detector.geometry.size], 3) if self._detector else super().input_shape

    @property
    def options(self) -> dict[str, Any]:
        """The options of every `Explainer`, and the parts."""
        return super().options | {"parts": self.parts}

    @cached_property
    def _net(self) -> Callable[[int], EvidenceNet]:
        """The net for pictures of a size."""
        if detector := self._detector:
            return lambda _: detector.evidence_net
        return lru_cache(maxsize=1)(lambda size: evidence_graph.evidence_net(self._model, size, self.parts))

    def grain(self, side: int) -> float:
        """The side of the smallest windows that count in the map, as a share of the picture's."""
        calibrated = self.parts.calibrated if self.parts else {}
        return min(calibrated or self._net(side).grid.sides) / side

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
        outputs = net.outputs(images)
        whole = logit(outputs["probabilities"][:, AI])
        if not np.isfinite(whole).all():
            raise ModelError("its model cannot be explained: its output is not finite. Train it again")
        targets = np.where(targets < 0, np.where(whole > 0, AI, HUMAN), targets)
        signs = np.where(targets == AI, 1, -1)
        scores = expit(signs * whole) if self.settings.target == "probability" else signs * whole
        evidence = net.evidence(outputs)

        def explanation(index: int) -> Explanation:
            heatmap, ranks = self._on_regions(evidence.margin[index] * signs[index], images[index], artworks[index])
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
