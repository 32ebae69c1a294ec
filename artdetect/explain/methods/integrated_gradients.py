"""Integrated gradients.

Source: Sundararajan et al. 2017, arXiv 1703.01365.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import artdetect.explain.methods.path_integration as ig
from artdetect.explain.method_settings import IntegratedGradientsSettings
from artdetect.explain.methods.pixel_method import PixelMethod

if TYPE_CHECKING:
    import keras


class IntegratedGradients(PixelMethod):
    """Integrated gradients: the share of each pixel in the score, computed as for XRAI.

    Arguments and errors as for `Explainer`.
    """

    settings_class = IntegratedGradientsSettings
    settings: IntegratedGradientsSettings

    def __init__(self, model: keras.Model, **options: Any):
        super().__init__(model, **options)
        self._integrate = ig.PathIntegrator(
            self.score, self.settings.steps, self.settings.quadrature, self.settings.baselines
        )

    def _attribute(self, images, targets):
        integrated = self._integrate(images, targets)
        return integrated.attributions, integrated.completeness_error.tolist()
