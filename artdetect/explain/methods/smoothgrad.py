"""SmoothGrad.

Source: Smilkov et al. 2017, arXiv 1706.03825.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from artdetect.explain.method_settings import BATCH_SIZE, SmoothGradSettings
from artdetect.explain.methods.pixel_method import PixelMethod

if TYPE_CHECKING:
    import keras


class SmoothGrad(PixelMethod):
    """The mean gradient of noisy copies of the picture.

    A value is the slope of the score for that pixel, not a share of it, so completeness does not hold. The saliency
    package draws noise from NumPy's global generator; here each picture has the same noise, from `seed`. With the same
    generator, the maps are those of the package. Arguments and errors as for `Explainer`.
    """

    settings_class = SmoothGradSettings
    settings: SmoothGradSettings

    def __init__(self, model: keras.Model, *, batch_size: int = BATCH_SIZE, **settings: Any):
        samples = self.settings_class.make(**settings).samples
        super().__init__(model, batch_size=min(batch_size, samples), **settings)  # batches are padded to their size

    def _attribute(self, images, targets):
        maps = [self._mean_gradient(image, target) for image, target in zip(images, targets, strict=True)]
        return np.stack(maps), [None] * len(images)

    def _mean_gradient(self, image: NDArray[np.float32], target: int) -> NDArray[np.float32]:
        chosen = self.settings
        generator, deviation = np.random.RandomState(chosen.seed), chosen.noise * (image.max() - image.min())
        total = np.zeros(image.shape, np.float32)
        for start in range(0, chosen.samples, self.score.batch_size):
            count = min(self.score.batch_size, chosen.samples - start)
            noisy = image + generator.normal(0, deviation, (count, *image.shape))
            gradients = self.score.gradients(noisy, np.full(count, target))
            total += (gradients * gradients if chosen.magnitude else gradients).sum(axis=0)
        return total / np.float32(chosen.samples)
