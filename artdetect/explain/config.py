"""Section `explain` of the config, and the explainer that it describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from artdetect.core.config_section import Section
from artdetect.explain.method_settings import (
    BATCH_SIZE,
    METHODS,
    SALIENCY,
    Algorithm,
    Baselines,
    ChannelReduce,
    Method,
    Quadrature,
    Target,
    XRAISettings,
)
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    from artdetect.explain.methods.explainer import Explainer
    from artdetect.model.detector import Detector


class ExplainConfig(Section):
    """Section `explain`: how pictures are explained, and how the maps are checked."""

    pictures_per_group: int = Field(
        1, ge=0, le=50, description="pictures per class and group: right, wrong, least sure"
    )
    method: Method = Field("evidence", description="the explanation method")
    explained_class: Literal["predicted", "AI", "human"] = Field(
        "predicted", description="the class whose evidence is computed; predicted = each picture's own"
    )
    target: Target = Field(XRAISettings.target, description="the score that is explained")
    baselines: Baselines = Field(XRAISettings.baselines, description="where integrated gradients start")
    steps: int = Field(
        XRAISettings.steps, ge=2, le=1000, description="steps of integrated gradients, for each baseline"
    )
    quadrature: Quadrature = Field(XRAISettings.quadrature, description="how steps are spread and weighted")
    channel_reduce: ChannelReduce = Field(
        XRAISettings.channel_reduce, description="how three channels become one number"
    )
    algorithm: Algorithm = Field(XRAISettings.algorithm, description="XRAI's region ranking")
    dilation: float = Field(
        XRAISettings.dilation, ge=0, le=50, description="growth of the regions, in pixels of a picture of 224 x 224"
    )
    min_region: float = Field(
        XRAISettings.min_region,
        ge=1,
        le=50_000,
        description="smallest area that a region must add, in pixels of a picture of 224 x 224",
    )
    resolution: int = Field(
        XRAISettings.resolution,
        ge=32,
        le=4096,
        description="longer side of the artwork that is used, and of heatmaps, in pixels",
    )
    quality_pictures: int = Field(
        12, ge=0, le=500, description="explained pictures on which the maps are checked; 0 = none"
    )
    localisation: int = Field(
        40,
        ge=0,
        le=2000,
        description="spliced test pictures on which it is checked that maps find a region; methods of many passes get "
        "a fifth; 0 = none",
    )
    beside: tuple[Method, ...] = Field(
        ("xrai",), description="further methods that explain the pictures of the report, and are checked with splices"
    )
    compat: Literal["saliency"] | None = Field(
        XRAISettings.compat,
        description="saliency: XRAI with the maps of the package of that name; other settings only where they are "
        "given",
    )
    scale: Literal["common", "own"] = Field(
        "common", description="one range of colours for all figures of a batch, or one for each"
    )
    batch_size: int = Field(BATCH_SIZE, ge=1, le=1000, description="gradients computed at once; bounds memory only")

    def settings(self, method_name: Method | None = None) -> dict[str, Any]:
        """The fields of this section that are settings of a method, by default the chosen one."""
        method = METHODS[method_name or self.method]
        names = [name for name in method.names() if name in type(self).model_fields and name not in method.fixed]
        if self.compat and "compat" in names:
            names = [name for name in names if name not in SALIENCY or name in self.model_fields_set]
        return {name: getattr(self, name) for name in names}

    def class_to_explain(self, predicted: str) -> int:
        """The class to explain of a picture that is predicted as class `predicted`: its index in `CLASSES`."""
        return CLASSES.index(predicted if self.explained_class == "predicted" else self.explained_class)

    def explainer(self, detector: Detector, method: Method | None = None) -> Explainer:
        """The explainer for the model of a detector, by default of the chosen method.

        Raises:
            ModelError: The model cannot be explained.
        """
        from artdetect.explain.methods import make

        method = method or self.method
        model = detector if method == "evidence" else detector.classifier
        return make(method, model, batch_size=self.batch_size, **self.settings(method))

    def explainers(self, detector: Detector) -> dict[str, Explainer]:
        """The explainers of all methods by name, the chosen one first; errors as for `explainer`."""
        return {method: self.explainer(detector, method) for method in dict.fromkeys((self.method, *self.beside))}
