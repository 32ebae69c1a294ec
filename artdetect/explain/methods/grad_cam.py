"""Grad-CAM, by the saliency package.

Source: Selvaraju et al. 2016, arXiv 1610.02391.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.explain.method_settings import GradCAMSettings
from artdetect.explain.methods.pixel_method import PixelMethod
from artdetect.explain.methods.saliency_adapter import call_model_function

if TYPE_CHECKING:
    import keras


class GradCAM(PixelMethod):
    """Grad-CAM: where the channels of the last convolution that speak for the class are active.

    Values are never negative and have no unit: they only compare pixels of one picture. The map is as coarse as that
    layer, which is the one of `saliency_adapter.Convolution`. Arguments and errors as for `Explainer`.
    """

    settings_class = GradCAMSettings

    def __init__(self, model: keras.Model, **options: Any):
        super().__init__(model, **options)
        self._call_model = call_model_function(self.score)
        self._cells = 1  # in a row of the maps that were made

    def grain(self, side):
        """A cell of the layer, or what is averaged for other methods where cells are finer."""
        return max(super().grain(side), 1 / self._cells)

    def _attribute(self, images, targets):
        from saliency.core import GradCam

        package = GradCam()
        maps = [
            package.GetMask(image, self._call_model, int(target), should_resize=False, three_dims=False)
            for image, target in zip(images, targets, strict=True)
        ]
        self._cells = min(maps[0].shape)
        return np.stack(maps), [None] * len(images)
