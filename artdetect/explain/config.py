"""Section `explain` of the config, and the explainer that it describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from artdetect.core.config_section import Section
from artdetect.explain.methods.path_integration import Baselines, Quadrature
from artdetect.explain.model_score import Target

if TYPE_CHECKING:
    from artdetect.explain.methods.explainer import Explainer
    from artdetect.model.detector import Detector

_PIXELS = ("channel_reduce", "resolution")
_GRADIENTS = ("baselines", "steps", "rule", *_PIXELS)
SETTINGS = {  # what of the section each method takes besides target and batch_size
    "xrai": (*_GRADIENTS, "algorithm", "dilation", "min_region"),
    "integrated_gradients": _GRADIENTS,
    "blur_ig": _PIXELS,
    "smoothgrad": _PIXELS,
    "gradcam": ("resolution",),
}


class ExplainConfig(Section):
    """Section `explain`. What is left out of XRAI's settings is as `artdetect.explain.methods.xrai.Settings` says."""

    per_rule: int = Field(1, ge=0, le=50, description="pictures per class and rule: right, wrong, least sure")
    method: Literal["xrai", "integrated_gradients", "blur_ig", "smoothgrad", "gradcam"] = Field(
        "xrai", description="how pictures are explained"
    )
    target: Target = Field("logit_margin", description="what is explained")
    baselines: Baselines = Field("black_white", description="where integrated gradients begin")
    steps: int = Field(32, ge=2, le=1000, description="of integrated gradients, for each baseline")
    rule: Quadrature = Field("refined", description="how steps are spread")
    channel_reduce: Literal["max", "sum", "mean"] = Field("sum", description="three channels to one number")
    algorithm: Literal["full", "fast"] = Field("full", description="XRAI's region ranking")
    dilation: float = Field(2.0, ge=0, le=50, description="by how much regions grow; pixels of a picture of 224 x 224")
    min_region: float = Field(50.0, ge=1, le=50_000, description="what a region must add; pixels of the same")
    resolution: int = Field(
        512, ge=32, le=4096, description="longer side to which artworks are reduced, and of heatmaps"
    )
    quality: int = Field(12, ge=0, le=500, description="explained pictures on which the maps are checked; 0 = none")
    common_scale: bool = Field(False, description="one range of colours for all figures of a batch")
    batch_size: int = Field(64, ge=1, le=1000, description="gradients taken at once; bounds memory only")

    def explainer(self, detector: Detector) -> Explainer:
        """For the detector's model.

        Raises:
            ModelError: The model cannot be explained.
        """
        from artdetect.explain.methods import make

        settings: dict[str, Any] = {name: getattr(self, name) for name in SETTINGS[self.method]}
        return make(self.method, detector.classifier, target=self.target, batch_size=self.batch_size, **settings)
