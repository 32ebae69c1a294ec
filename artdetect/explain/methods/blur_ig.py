"""BlurIG, by the saliency package.

Source: Xu et al. 2020, arXiv 2004.03383.
"""

from __future__ import annotations

import numpy as np

from artdetect.explain.method_settings import BlurIGSettings
from artdetect.explain.methods.pixel_method import PixelMethod
from artdetect.explain.methods.saliency_adapter import call_model_function


class BlurIG(PixelMethod):
    """Integrated gradients along a path that blurs the picture instead of fading it to a colour.

    A value is the share of a pixel in the score. Slow for large pictures: each step takes two Gaussian filters.
    Arguments and errors as for `Explainer`.
    """

    settings_class = BlurIGSettings
    settings: BlurIGSettings

    def _attribute(self, images, targets):
        from saliency.core import BlurIG as Package
        from saliency.core.blur_ig import gaussian_blur

        chosen = self.settings
        call_model, package = call_model_function(self.score), Package()
        settings = {"max_sigma": chosen.max_sigma, "steps": chosen.steps, "grad_step": chosen.grad_step}
        batch_size = min(self.score.batch_size, chosen.steps)
        attributions = np.stack(
            [
                package.GetMask(image, call_model, int(target), batch_size=batch_size, **settings)
                for image, target in zip(images, targets, strict=True)
            ]
        ).astype(np.float32)
        blurred = np.stack([gaussian_blur(image, chosen.max_sigma) for image in images])
        expected = self.score.values(images, targets).astype(np.float64) - self.score.values(blurred, targets)
        return attributions, np.abs(attributions.sum(axis=(1, 2, 3), dtype=np.float64) - expected).tolist()
