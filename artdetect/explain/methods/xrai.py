"""XRAI: the regions of a picture that speak for a class, in the order of their importance.

With `compat="saliency"` the maps are those of the saliency package, many times faster. The defaults differ where the
package is blurry, costly or misleading: regions come from the artwork at its own resolution; a third of its steps, with
a better quadrature, is nearer to the integral; and a pixel counts as the sum of its channels, its share of the score,
not as the largest of them.
Source: Kapishnikov et al. 2019, arXiv 1906.02825.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import artdetect.explain.methods.path_integration as ig
from artdetect.compute import processors
from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import XRAISettings, at_least
from artdetect.explain.methods.artworks import enlarged, segmented_picture
from artdetect.explain.methods.explainer import Explainer
from artdetect.explain.regions import Regions, as_saliency, from_picture
from artdetect.explain.regions.ranking import rank

if TYPE_CHECKING:
    import keras


class XRAI(Explainer):
    """XRAI for a model.

    Args:
        model: The model, as for every `Explainer`.
        workers: Threads for the regions; None = the available processors.
        options: `batch_size`, and the fields of `XRAISettings`.

    Raises:
        ModelError, ValueError: As `Explainer`.
    """

    settings_class = XRAISettings
    settings: XRAISettings

    def __init__(self, model: keras.Model, *, workers: int | None = None, **options: Any):
        super().__init__(model, **options)
        self.workers = processors() if workers is None else workers
        at_least("workers", self.workers, 1, whole=True)
        ig.check_baselines(self.settings.baselines, self.score.input_shape)
        self._integrate = ig.PathIntegrator(
            self.score, self.settings.steps, self.settings.quadrature, self.settings.baselines
        )

    @property
    def options(self) -> dict[str, Any]:
        """The options of every `Explainer`, and the number of threads."""
        return super().options | {"workers": self.workers}

    def _explain(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.integer],
        artworks: Sequence[NDArray[np.uint8] | None],
    ) -> list[Explanation]:
        if self.settings.compat and any(artwork is not None for artwork in artworks):
            raise ValueError('`artworks` must be None with compat="saliency", whose regions come from the picture')
        targets = self._classes(images, targets)
        integrated = self._integrate(images, targets)

        def explanation(index: int) -> Explanation:
            attributions = integrated.attributions[index]
            heatmap, ranks = self.rank_regions(attributions, images[index], artworks[index])
            return Explanation(
                heatmap,
                ranks,
                int(targets[index]),
                float(integrated.scores[index]),
                float(integrated.completeness_error[index]),
                self.config,
                attributions,
            )

        with ThreadPoolExecutor(self.workers) as threads:
            return list(threads.map(explanation, range(len(images))))

    def rank_regions(
        self, attributions: NDArray[np.float32], image: NDArray[np.float32], artwork: NDArray[np.uint8] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Rank the regions of a picture by its attributions.

        Args:
            attributions: float32 [H, W, C].
            image: The picture, float32 [H, W, 3] in [0, 1].
            artwork: The same picture for people, uint8 [h, w, 3], from which the regions are taken; None = `image`.

        Returns:
            Heatmap, float32, and ranks, int32, of the size of the regions.
        """
        values = getattr(attributions, self.settings.channel_reduce)(axis=-1)
        regions, min_region = self._regions(image, artwork)
        if regions.shape != values.shape:
            values = enlarged(values, regions.shape)
        heatmap, ranks = rank(values, regions, self.settings.algorithm, min_region)
        return heatmap.astype(np.float32), ranks

    def _regions(self, image: NDArray[np.float32], artwork: NDArray[np.uint8] | None) -> tuple[Regions, int]:
        """The regions, and how many pixels one must add to count."""
        settings = self.settings
        if settings.compat:
            return as_saliency(image, round(settings.dilation)), round(settings.min_region)
        regions = from_picture(segmented_picture(image, artwork, settings.resolution), settings.dilation)
        return regions, regions.pixels_at_side(settings.min_region)
