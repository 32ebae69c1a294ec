"""The other methods of explanation, behind the same call as XRAI: each pixel has a value of its own, no region a rank.

`BlurIG` and `GradCAM` are run by the saliency package, and `SmoothGrad` gives what it would. Its Guided Integrated
Gradients are left out: saliency 0.2.1 calls `np.quantile(interpolation=)`, which NumPy 2 no longer has.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

import artdetect.explain.methods.path_integration as ig
from artdetect.explain.explanation import Explanation
from artdetect.explain.methods.explainer import Explainer, Segments, as_json, at_least, enlarged, one_of
from artdetect.explain.methods.saliency_adapter import call_model_function
from artdetect.explain.methods.xrai import XRAI, ChannelReduce, Settings, bounded_shape
from artdetect.explain.model_score import Target

if TYPE_CHECKING:
    import keras


class _Pixels(Explainer):
    """What these methods share. The heatmap has the size of the model's picture, or is enlarged, with smooth passages,
    to the artwork where a larger one is given.

    Args:
        model, target, batch_size: As for every `Explainer`.
        channel_reduce: How a pixel's three channels become one number: "max", "sum", "mean".
        resolution: The longer side of the heatmap where the artwork's is longer; pixels.

    Raises:
        ModelError, TypeError, ValueError: As `Explainer`; ValueError also where segments are given.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        target: Target = "logit_margin",
        channel_reduce: ChannelReduce = "sum",
        resolution: int = 512,
        batch_size: int = 64,
    ):
        super().__init__(model, target=target, batch_size=batch_size)
        one_of("channel_reduce", channel_reduce, get_args(ChannelReduce))
        at_least("resolution", resolution, 1, whole=True)
        self.channel_reduce, self.resolution = channel_reduce, resolution

    @cached_property
    def config(self) -> dict[str, Any]:
        shaping = {
            name: getattr(self, name) for name in settings_of(type(self)) if name not in ("target", "batch_size")
        }
        return {"method": self.method, "target": self.score.target, **as_json(shaping)}

    def _explain(
        self,
        images: NDArray[np.float32],
        targets: NDArray[np.integer],
        artworks: Sequence[NDArray[np.uint8] | None],
        segments: Sequence[Segments | None],
    ) -> list[Explanation]:
        if any(given is not None for given in segments):
            raise ValueError(f"`segments` must be None: method {self.method!r} has no regions")
        maps, errors = self._found(images, targets)
        scores = self.score.values(images, targets)
        explained = []
        for values, artwork, target, score, error in zip(maps, artworks, targets, scores, errors, strict=True):
            heatmap = getattr(values, self.channel_reduce)(axis=-1) if values.ndim == 3 else values
            shape = images.shape[1:3]
            if artwork is not None and max(artwork.shape[:2]) >= max(shape):
                shape = bounded_shape(artwork.shape[:2], self.resolution)
            if heatmap.shape != shape:
                heatmap = enlarged(heatmap, shape)
            attributions = values if values.ndim == 3 else None
            explained.append(Explanation(heatmap, None, int(target), float(score), error, self.config, attributions))
        return explained

    @abstractmethod
    def _found(
        self, images: NDArray[np.float32], targets: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], Sequence[float | None]]:
        """Values, float32 [N, H, W, C], or [N, h, w] of any size, and the completeness errors."""


class IntegratedGradients(_Pixels):
    """Integrated gradients: each pixel's share of the score, as XRAI takes them.

    Args:
        model, target, batch_size, channel_reduce, resolution: As above.
        steps, rule, baselines: As in `xrai.Settings`; baselines also float32 [B, H, W, 3] in [0, 1].

    Source: Sundararajan et al. 2017, arXiv 1703.01365.
    """

    method = "integrated_gradients"

    def __init__(
        self,
        model: keras.Model,
        *,
        target: Target = "logit_margin",
        baselines: ig.Baselines | NDArray[np.float32] = "black_white",
        steps: int = 32,
        rule: ig.Quadrature = "refined",
        channel_reduce: ChannelReduce = "sum",
        resolution: int = 512,
        batch_size: int = 64,
    ):
        super().__init__(
            model, target=target, channel_reduce=channel_reduce, resolution=resolution, batch_size=batch_size
        )
        Settings(steps=steps, rule=rule, baselines=baselines)  # raises where one is not what it must be
        ig.check_baselines(baselines, self.score.input_shape)
        self.baselines, self.steps, self.rule = baselines, steps, rule
        self._integrated = ig.PathIntegrator(self.score, steps, rule, baselines)

    def _found(self, images, targets):
        found = self._integrated(images, targets)
        return found.attributions, found.completeness_error.tolist()


class BlurIG(_Pixels):
    """Integrated gradients along a path that blurs the picture away instead of fading it to a colour: each pixel's
    share of the score. Slow for large pictures: two Gaussians a step.

    Args:
        model, target, batch_size, channel_reduce, resolution: As above.
        steps: Points on the path; 1 or more.
        max_sigma: Of the Gaussian at its end; pixels of the model's picture, 0.01 or more.
        grad_step: Difference of sigma by which the path's direction is taken; 0.0001 or more.

    Source: Xu et al. 2020, arXiv 2004.03383.
    """

    method = "blur_ig"

    def __init__(
        self,
        model: keras.Model,
        *,
        target: Target = "logit_margin",
        steps: int = 100,
        max_sigma: float = 50,
        grad_step: float = 0.01,
        channel_reduce: ChannelReduce = "sum",
        resolution: int = 512,
        batch_size: int = 64,
    ):
        super().__init__(
            model, target=target, channel_reduce=channel_reduce, resolution=resolution, batch_size=batch_size
        )
        at_least("steps", steps, 1, whole=True)
        at_least("max_sigma", max_sigma, 0.01)
        at_least("grad_step", grad_step, 0.0001)
        self.steps, self.max_sigma, self.grad_step = steps, max_sigma, grad_step

    def _found(self, images, targets):
        from saliency.core import BlurIG as Package
        from saliency.core.blur_ig import gaussian_blur

        call, package = call_model_function(self.score), Package()
        settings = {"max_sigma": self.max_sigma, "steps": self.steps, "grad_step": self.grad_step}
        batch_size = min(self.score.batch_size, self.steps)
        found = np.stack(
            [
                package.GetMask(image, call, int(target), batch_size=batch_size, **settings)
                for image, target in zip(images, targets, strict=True)
            ]
        ).astype(np.float32)
        blurred = np.stack([gaussian_blur(image, self.max_sigma) for image in images])
        due = self.score.values(images, targets).astype(np.float64) - self.score.values(blurred, targets)
        return found, np.abs(found.sum(axis=(1, 2, 3), dtype=np.float64) - due).tolist()


class SmoothGrad(_Pixels):
    """The mean gradient of noisy copies of the picture: by how much the score rises with each pixel, per unit of its
    value. A slope, not a share: it promises no completeness.

    The package draws from NumPy's global generator; here each picture's noise comes from `seed` alone. For the same
    generator, the maps are the package's.

    Args:
        model, target, batch_size, channel_reduce, resolution: As above.
        samples: Copies; 1 or more.
        noise: Standard deviation of the noise, as a share of the picture's range of values; 0 or more.
        magnitude: Squares the gradients, as is the package's default; they lose their sign.
        seed: Of the noise.

    Source: Smilkov et al. 2017, arXiv 1706.03825.
    """

    method = "smoothgrad"

    def __init__(
        self,
        model: keras.Model,
        *,
        target: Target = "logit_margin",
        samples: int = 25,
        noise: float = 0.15,
        magnitude: bool = False,
        seed: int = 0,
        channel_reduce: ChannelReduce = "sum",
        resolution: int = 512,
        batch_size: int = 64,
    ):
        at_least("samples", samples, 1, whole=True)
        at_least("noise", noise, 0)
        at_least("seed", seed, 0, whole=True)
        batch_size = min(batch_size, samples)  # batches are filled up
        super().__init__(
            model, target=target, channel_reduce=channel_reduce, resolution=resolution, batch_size=batch_size
        )
        self.samples, self.noise, self.magnitude, self.seed = samples, noise, magnitude, seed

    def _found(self, images, targets):
        pairs = zip(images, targets, strict=True)
        return np.stack([self._mean(image, target) for image, target in pairs]), [None] * len(images)

    def _mean(self, image: NDArray[np.float32], target: int) -> NDArray[np.float32]:
        draw, deviation = np.random.RandomState(self.seed), self.noise * (image.max() - image.min())
        total = np.zeros(image.shape, np.float32)
        for start in range(0, self.samples, self.score.batch_size):
            count = min(self.score.batch_size, self.samples - start)
            noisy = image + draw.normal(0, deviation, (count, *image.shape))
            slopes = self.score.gradients(noisy, np.full(count, target))
            total += (slopes * slopes if self.magnitude else slopes).sum(axis=0)
        return total / np.float32(self.samples)


class GradCAM(_Pixels):
    """Grad-CAM: where the channels of the last convolution that speak for the class are active. Never negative, in
    units of no use but to compare pixels of one picture; coarse, as that layer is.

    The layer is that of `saliency_bridge.Convolution`.

    Args:
        model, target, batch_size, resolution: As above.

    Source: Selvaraju et al. 2016, arXiv 1610.02391.
    """

    method = "gradcam"

    def __init__(
        self, model: keras.Model, *, target: Target = "logit_margin", resolution: int = 512, batch_size: int = 64
    ):
        super().__init__(model, target=target, resolution=resolution, batch_size=batch_size)
        self._call = call_model_function(self.score)

    def _found(self, images, targets):
        from saliency.core import GradCam

        package = GradCam()
        coarse = [
            package.GetMask(image, self._call, int(target), should_resize=False, three_dims=False)
            for image, target in zip(images, targets, strict=True)
        ]
        return np.stack(coarse), [None] * len(images)


METHODS: dict[str, type[Explainer]] = {
    kind.method: kind for kind in (XRAI, IntegratedGradients, BlurIG, SmoothGrad, GradCAM)
}


def settings_of(kind: type[Explainer]) -> list[str]:
    """The names of the settings that an explainer takes."""
    return [name for name, given in signature(kind).parameters.items() if given.kind is given.KEYWORD_ONLY]


def make(method: str, model: keras.Model, **settings: Any) -> Explainer:
    """The explainer `METHODS[method]` for `model`.

    Raises:
        ModelError: As `Explainer`.
        ValueError: There is no such method, it has no such setting, or a setting is not what it must be.
    """
    one_of("method", method, tuple(METHODS))
    known = settings_of(METHODS[method])
    for name in settings:
        if name not in known:
            raise ValueError(f"method {method!r} has no setting `{name}`. It has {', '.join(known)}")
    return METHODS[method](model, **settings)
