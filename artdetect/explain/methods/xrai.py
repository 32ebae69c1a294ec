"""XRAI: the regions of a picture that speak for a class, in the order of their importance.

With `compat="saliency"` the maps are those of the saliency package, many times faster. The defaults depart from it
where it is blurry, costly or misleading: regions come from the artwork at its own resolution; a third of its steps, by
a better rule, is nearer to the integral; and a pixel counts the sum of its channels, its share in the score,
and not the largest of them.
Source: Kapishnikov et al. 2019, arXiv 1906.02825.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

import artdetect.explain.methods.path_integration as ig  # thus and not from the package, which would bring in all of it
from artdetect.compute import processors
from artdetect.explain.explanation import Explanation
from artdetect.explain.methods.explainer import Explainer, Segments, as_json, at_least, enlarged, one_of
from artdetect.explain.model_score import Target
from artdetect.explain.regions import SIDE, Regions, as_saliency, from_labels, from_masks, from_picture
from artdetect.explain.regions.ranking import rank

if TYPE_CHECKING:
    import keras

Algorithm = Literal["full", "fast"]
ChannelReduce = Literal["max", "sum", "mean"]


@dataclass(frozen=True)
class Settings:
    """What shapes a map.

    Args:
        steps: Points of integrated gradients for each baseline; 2 or more.
        rule: How they are weighted: `integrated_gradients.quadrature`.
        baselines: `integrated_gradients.baselines_of`.
        algorithm: "full" ranks a region anew after each merge, "fast" ranks all regions once.
        channel_reduce: How a pixel's three channels become one number.
        dilation: By how much each segment grows; pixels of a picture of 224 x 224, 0 or more.
        min_region: What a region must add to count; pixels of a picture of 224 x 224, 1 or more.
        resolution: The longer side to which artworks are reduced before regions are sought; pixels.
    """

    steps: int = 32
    rule: str = "refined"
    baselines: Any = "black_white"
    algorithm: str = "full"
    channel_reduce: str = "sum"
    dilation: float = 2
    min_region: float = 50
    resolution: int = 512

    def __post_init__(self) -> None:
        one_of("rule", self.rule, get_args(ig.Quadrature))
        if isinstance(self.baselines, str):
            one_of("baselines", self.baselines, ig.NAMES)
        one_of("algorithm", self.algorithm, get_args(Algorithm))
        one_of("channel_reduce", self.channel_reduce, get_args(ChannelReduce))
        at_least("steps", self.steps, 2, whole=True)  # with one step, a trapezoid has no width
        at_least("dilation", self.dilation, 0)
        at_least("min_region", self.min_region, 1)
        at_least("resolution", self.resolution, 1, whole=True)


SALIENCY = Settings(steps=100, rule="saliency", baselines="min_max", channel_reduce="max", dilation=5)


class XRAI(Explainer):
    """XRAI for a model; settings that are left out are those of `Settings`, or of the package with `compat`.

    Args:
        model, target, batch_size: As for every `Explainer`.
        steps, rule, algorithm, channel_reduce, dilation, min_region, resolution: See `Settings`.
        baselines: A name as in `Settings`, or float32 [B, H, W, 3] in [0, 1].
        workers: Threads for the regions; None = the processors at hand.
        compat: "saliency" gives the maps and ranks of saliency 0.2.1 for the picture alone: its steps, rule, baselines,
            segmentation at 224 x 224, and dilation and minimum region in pixels of the picture. What is given besides
            is taken as given.

    Raises:
        ModelError, TypeError, ValueError: As `Explainer`.
    """

    method = "xrai"

    def __init__(
        self,
        model: keras.Model,
        *,
        target: Target = "logit_margin",
        baselines: ig.Baselines | NDArray[np.float32] | None = None,
        steps: int | None = None,
        rule: ig.Quadrature | None = None,
        algorithm: Algorithm | None = None,
        channel_reduce: ChannelReduce | None = None,
        dilation: float | None = None,
        min_region: float | None = None,
        resolution: int | None = None,
        batch_size: int = 64,
        workers: int | None = None,
        compat: Literal["saliency"] | None = None,
    ):
        super().__init__(model, target=target, batch_size=batch_size)
        if compat is not None:
            one_of("compat", compat, ("saliency",))
        at_least("workers", processors() if workers is None else workers, 1, whole=True)
        given: dict[str, Any] = {
            "baselines": baselines,
            "steps": steps,
            "rule": rule,
            "algorithm": algorithm,
            "channel_reduce": channel_reduce,
            "dilation": dilation,
            "min_region": min_region,
            "resolution": resolution,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        self.settings = replace(SALIENCY if compat else Settings(), **chosen)
        self.compat, self.workers = compat, workers or processors()
        ig.check_baselines(self.settings.baselines, self.score.input_shape)
        self._integrated = ig.PathIntegrator(
            self.score, self.settings.steps, self.settings.rule, self.settings.baselines
        )

    @cached_property
    def config(self) -> dict[str, Any]:
        settings = {field.name: getattr(self.settings, field.name) for field in fields(self.settings)}
        return {"method": self.method, "target": self.score.target, **as_json(settings), "compat": self.compat}

    def _explain(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.integer],
        artworks: Sequence[NDArray[np.uint8] | None],
        segments: Sequence[Segments | None],
    ) -> list[Explanation]:
        if self.compat and any(artwork is not None for artwork in artworks):
            raise ValueError('`artworks` must be None with compat="saliency", whose regions come from the picture')
        integrated = self._integrated(images, targets)

        def explained(index: int) -> Explanation:
            heatmap, ranks = self.ranked(
                integrated.attributions[index], images[index], artworks[index], segments[index]
            )
            return Explanation(
                heatmap,
                ranks,
                int(targets[index]),
                float(integrated.scores[index]),
                float(integrated.completeness_error[index]),
                self.config,
                integrated.attributions[index],
            )

        with ThreadPoolExecutor(self.workers) as threads:
            return list(threads.map(explained, range(len(images))))

    def ranked(
        self,
        attributions: NDArray[np.float32],
        image: NDArray[np.float32],
        artwork: NDArray[np.uint8] | None,
        segments: Segments | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Heatmap and ranks from the attributions [H, W, C] of `image`."""
        values = getattr(attributions, self.settings.channel_reduce)(axis=-1)
        found, min_region = self._regions(image, artwork, segments)
        if found.shape != values.shape:
            values = enlarged(values, found.shape)
        heatmap, ranks = rank(values, found, self.settings.algorithm, min_region)
        return heatmap.astype(np.float32), ranks

    def _regions(
        self, image: NDArray[np.float32], artwork: NDArray[np.uint8] | None, segments: Segments | None
    ) -> tuple[Regions, int]:
        """The regions, and how many pixels one must add to count."""
        settings = self.settings
        if segments is not None:
            found = _given(segments)
        elif self.compat:
            found = as_saliency(image, round(settings.dilation))
        else:
            found = from_picture(self._seen(image, artwork), settings.dilation)
        if self.compat:
            return found, round(settings.min_region)
        return found, max(1, round(settings.min_region * found.shape[0] * found.shape[1] / SIDE**2))

    def _seen(self, image: NDArray[np.float32], artwork: NDArray[np.uint8] | None) -> NDArray[np.floating]:
        """The picture in which regions are sought: the artwork, bounded, or what the model sees if that is larger."""
        if artwork is None or max(artwork.shape[:2]) < max(image.shape[:2]):
            return image
        return bounded(artwork, self.settings.resolution).astype(np.float32) / 255


def bounded(artwork: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """uint8 [h, w, 3], reduced so that its longer side has at most `longest` pixels."""
    from PIL import Image

    height, width = bounded_shape(artwork.shape[:2], longest)
    if (height, width) == artwork.shape[:2]:
        return artwork
    return np.asarray(Image.fromarray(artwork).resize((width, height), Image.Resampling.LANCZOS))


def bounded_shape(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """(height, width) of what `bounded` makes of an artwork of height and width `shape`."""
    scale = min(1.0, longest / max(shape))
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


def _given(segments: Segments) -> Regions:
    """Regions from a caller's label maps or masks."""
    if isinstance(segments, np.ndarray) and segments.ndim in (2, 3) and segments.dtype.kind in "iu" and segments.size:
        _, labels = np.unique(segments, return_inverse=True)  # without gaps: a caller's labels may be far apart
        return from_labels(labels.reshape(-1, *segments.shape[-2:]), 0)
    masks = [np.asarray(mask) for mask in segments]
    if not masks or any(mask.dtype != bool or mask.ndim != 2 or mask.shape != masks[0].shape for mask in masks):
        raise ValueError(
            "`segments` must be, for each picture, label maps int [H, W] or [S, H, W], or boolean masks [H, W] of one "
            f"shape. Received: {[(str(mask.dtype), list(mask.shape)) for mask in masks][:3]}"
        )
    return from_masks(masks)
