"""Explanation methods, one per module, behind the same call: `explainer.Explainer`.

`method_settings` lists them. The saliency package runs BlurIG and Grad-CAM, and SmoothGrad gives the same maps as the
package. Its Guided Integrated Gradients are left out: saliency 0.2.1 calls `np.quantile(interpolation=)`, which NumPy 2
no longer has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artdetect.explain.method_settings import METHODS, one_of

if TYPE_CHECKING:
    import keras

    from artdetect.explain.methods.explainer import Explainer
    from artdetect.model.detector import Detector


def make(method: str, model: keras.Model | Detector, **options: Any) -> Explainer:
    """Make the explainer of a method for a model.

    Args:
        method: One of `METHODS`.
        model: A Keras model, as `Explainer` takes it; for the evidence a detector, too.
        options: Settings of the method, `batch_size`, and for XRAI `workers`.

    Raises:
        ModelError: The model cannot be explained.
        ValueError: There is no such method, it has no such setting, or a value is not allowed.
    """
    from artdetect.explain.methods.blur_ig import BlurIG
    from artdetect.explain.methods.evidence import Evidence
    from artdetect.explain.methods.grad_cam import GradCAM
    from artdetect.explain.methods.integrated_gradients import IntegratedGradients
    from artdetect.explain.methods.smoothgrad import SmoothGrad
    from artdetect.explain.methods.xrai import XRAI

    one_of("method", method, tuple(METHODS))
    explainers: tuple[type[Explainer], ...] = (Evidence, XRAI, IntegratedGradients, BlurIG, SmoothGrad, GradCAM)
    chosen = next(explainer for explainer in explainers if explainer.settings_class.method == method)
    return chosen(model, **options)
