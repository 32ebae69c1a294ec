"""What the methods without regions share: each pixel has a value of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from artdetect.explain.explanation import Explanation
from artdetect.explain.methods.artworks import bounded_shape, enlarged
from artdetect.explain.methods.explainer import Explainer


class PixelMethod(Explainer):
    """A method that gives each pixel a value. Its explanations have no ranks.

    The heatmap has the size of the model's picture. Where a larger artwork is given, it is enlarged smoothly to it, or
    to `resolution` where the artwork is larger than that.
    """

    def _explain(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.integer],
        artworks: Sequence[NDArray[np.uint8] | None],
    ) -> list[Explanation]:
        targets = self._classes(images, targets)
        maps, errors = self._attribute(images, targets)
        scores = self.score.values(images, targets)
        explanations = []
        for values, artwork, target, score, error in zip(maps, artworks, targets, scores, errors, strict=True):
            attributions = values if values.ndim == 3 else None
            heatmap = values
            if attributions is not None:
                heatmap = getattr(attributions, self.settings.channel_reduce)(axis=-1)
            shape = images.shape[1:3]
            if artwork is not None and max(artwork.shape[:2]) >= max(shape):
                shape = bounded_shape(artwork.shape[:2], self.settings.resolution)
            if heatmap.shape != shape:
                heatmap = enlarged(heatmap, shape)
            explanations.append(Explanation(heatmap, None, int(target), float(score), error, self.config, attributions))
        return explanations

    @abstractmethod
    def _attribute(
        self, images: NDArray[np.float32], targets: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], Sequence[float | None]]:
        """The maps of some pictures.

        Args:
            images: float32 [N, H, W, 3] in [0, 1].
            targets: The classes to explain, int [N].

        Returns:
            float32 [N, H, W, C], or [N, h, w] of any size; and the completeness error of each, None where completeness
            does not hold.
        """
