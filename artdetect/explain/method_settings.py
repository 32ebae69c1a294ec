"""The explanation methods: their names, labels and settings. This is the only list of them.

It imports no heavy library, because the command line and the config ask it for names and defaults.
"""

from __future__ import annotations

import hashlib
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self, get_args

Method = Literal["evidence", "xrai", "integrated_gradients", "blur_ig", "smoothgrad", "gradcam"]
Target = Literal["logit_margin", "logit", "probability"]
Baselines = Literal["black_white", "min_max", "black", "white", "mean"]
Quadrature = Literal["refined", "trapezoid", "midpoint", "saliency"]
ChannelReduce = Literal["max", "sum", "mean"]
Algorithm = Literal["full", "fast"]

BATCH_SIZE = 64
BASELINES: tuple[str, ...] = get_args(Baselines)
_CHOICES: dict[str, tuple[Any, ...]] = {
    "target": get_args(Target),
    "quadrature": get_args(Quadrature),
    "channel_reduce": get_args(ChannelReduce),
    "algorithm": get_args(Algorithm),
    "compat": (None, "saliency"),
}
_JSON_NAMES = {"quadrature": "rule"}  # stored explanations call it that


class Settings:
    """What shapes the maps of a method. Each method has a frozen dataclass; its fields in this order go into files.

    Attributes:
        method: The name in the config, on the command line and in files.
        label: The name that people read.
        complete: Whether completeness holds: the attributions of a picture sum to its score, so that the value of a
            pixel is its share of the score.
        signed: Whether values speak for the class where they are positive and against it where they are negative.
        scatters: Whether values of neighbours scatter, so that only their averages mean something.
        reach: The value of the strongest colour in figures; None = that of a batch's largest values.
        fixed: Fields that keep their defaults whatever the config says, because its option means another method's.
        one_pass: Whether a map costs about as much as a verdict, so that many can be checked.
        target: The number that is explained, see `ExplainedScore`.
        resolution: The longer side of the heatmap where the artwork's is longer; pixels, 1 or more.
        channel_reduce: How the three channels of a pixel become one number. Methods without channels do not have it.
    """

    method: ClassVar[Method]
    label: ClassVar[str]
    complete: ClassVar[bool]
    signed: ClassVar[bool] = True
    scatters: ClassVar[bool] = True
    reach: ClassVar[float | None] = None
    fixed: ClassVar[tuple[str, ...]] = ()
    one_pass: ClassVar[bool] = False

    target: Target
    resolution: int
    channel_reduce: ChannelReduce

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if name in self.names():
                one_of(name, getattr(self, name), allowed)
        baselines = getattr(self, "baselines", None)
        if isinstance(baselines, str):
            one_of("baselines", baselines, BASELINES)
        at_least("resolution", self.resolution, 1, whole=True)

    @classmethod
    def make(cls, **values: Any) -> Self:
        """Settings with these values, and defaults for the rest.

        Raises:
            ValueError: There is no such setting, or its value is not allowed.
        """
        for name in values:
            if name not in cls.names():
                raise ValueError(f"method {cls.method!r} has no setting `{name}`. It has {', '.join(cls.names())}")
        return cls(**values)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the settings."""
        return tuple(field.name for field in fields(cls))  # type: ignore[arg-type]  # subclasses are dataclasses

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON values: Python's numbers for NumPy's, and for an array its sha256."""
        return {_JSON_NAMES.get(name, name): _plain(getattr(self, name)) for name in self.names()}


@dataclass(frozen=True, kw_only=True)
class XRAISettings(Settings):
    """Settings of XRAI, and the defaults that the other methods share.

    Args:
        target: See `Settings`.
        steps: Points of integrated gradients for each baseline; 2 or more.
        quadrature: How these points are spread and weighted, see `path_integration.quadrature`.
        baselines: Where integrated gradients start, see `path_integration.make_baselines`: a name, or float32
            [B, H, W, 3] in [0, 1].
        algorithm: "full" ranks what is left of each region again after each choice, "fast" ranks all regions once.
        channel_reduce: How the three channels of a pixel become one number.
        dilation: By how much each segment grows; pixels of a picture of 224 x 224, 0 or more.
        min_region: What a region must add to count; pixels of a picture of 224 x 224, 1 or more.
        resolution: The longer side to which artworks are reduced before they are segmented; pixels.
        compat: "saliency" gives the maps and ranks of saliency 0.2.1 for the picture alone: with its defaults
            (`SALIENCY`), its segmentation at 224 x 224, and `dilation` and `min_region` in pixels of the picture.
    """

    method = "xrai"
    label = "XRAI"
    complete = True

    target: Target = "logit_margin"
    steps: int = 32
    quadrature: Quadrature = "refined"
    baselines: Any = "black_white"
    algorithm: Algorithm = "full"
    channel_reduce: ChannelReduce = "sum"
    dilation: float = 2.0
    min_region: float = 50.0
    resolution: int = 512
    compat: Literal["saliency"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("steps", self.steps, 2, whole=True)  # with one step, a trapezoid has no width
        at_least("dilation", self.dilation, 0)
        at_least("min_region", self.min_region, 1)

    @classmethod
    def make(cls, **values: Any) -> Self:
        """Settings with these values, and defaults for the rest; with `compat`, those of the saliency package.

        Raises:
            ValueError: There is no such setting, or its value is not allowed.
        """
        return super().make(**(SALIENCY if values.get("compat") else {}) | values)


SALIENCY: dict[str, Any] = {
    "steps": 100,
    "quadrature": "saliency",
    "baselines": "min_max",
    "channel_reduce": "max",
    "dilation": 5,
}


@dataclass(frozen=True, kw_only=True)
class IntegratedGradientsSettings(Settings):
    """Settings of integrated gradients; each is as in `XRAISettings`."""

    method = "integrated_gradients"
    label = "Integrated gradients"
    complete = True

    target: Target = XRAISettings.target
    baselines: Any = XRAISettings.baselines
    steps: int = XRAISettings.steps
    quadrature: Quadrature = XRAISettings.quadrature
    channel_reduce: ChannelReduce = XRAISettings.channel_reduce
    resolution: int = XRAISettings.resolution

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("steps", self.steps, 2, whole=True)


@dataclass(frozen=True, kw_only=True)
class BlurIGSettings(Settings):
    """Settings of BlurIG; those not listed are as in `XRAISettings`.

    Args:
        steps: Points on the path; 1 or more.
        max_sigma: Standard deviation of the Gaussian at the end of the path; pixels of the model's picture, 0.01 or
            more.
        grad_step: Difference of sigma over which the direction of the path is taken; 0.0001 or more.
    """

    method = "blur_ig"
    label = "BlurIG"
    complete = True
    fixed = ("steps",)

    target: Target = XRAISettings.target
    steps: int = 100
    max_sigma: float = 50
    grad_step: float = 0.01
    channel_reduce: ChannelReduce = XRAISettings.channel_reduce
    resolution: int = XRAISettings.resolution

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("steps", self.steps, 1, whole=True)
        at_least("max_sigma", self.max_sigma, 0.01)
        at_least("grad_step", self.grad_step, 0.0001)


@dataclass(frozen=True, kw_only=True)
class SmoothGradSettings(Settings):
    """Settings of SmoothGrad; those not listed are as in `XRAISettings`.

    Args:
        samples: Noisy copies of a picture; 1 or more.
        noise: Standard deviation of the noise, as a share of the picture's range of values; 0 or more.
        magnitude: Whether gradients are squared, as the saliency package does by default. They lose their sign.
        seed: Seed of the noise; 0 or more.
    """

    method = "smoothgrad"
    label = "SmoothGrad"
    complete = False

    target: Target = XRAISettings.target
    samples: int = 25
    noise: float = 0.15
    magnitude: bool = False
    seed: int = 0
    channel_reduce: ChannelReduce = XRAISettings.channel_reduce
    resolution: int = XRAISettings.resolution

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("samples", self.samples, 1, whole=True)
        at_least("noise", self.noise, 0)
        at_least("seed", self.seed, 0, whole=True)


@dataclass(frozen=True, kw_only=True)
class GradCAMSettings(Settings):
    """Settings of Grad-CAM; each is as in `XRAISettings`."""

    method = "gradcam"
    label = "Grad-CAM"
    complete = False
    one_pass = True
    signed = False
    scatters = False

    target: Target = XRAISettings.target
    resolution: int = XRAISettings.resolution


@dataclass(frozen=True, kw_only=True)
class EvidenceSettings(Settings):
    """Settings of the evidence; each is as in `XRAISettings`. Its values are logits of parts, the same in any batch."""

    method = "evidence"
    label = "Evidence"
    complete = False
    one_pass = True
    scatters = False
    reach = 4.0  # a p(AI) of 98 %

    target: Target = XRAISettings.target
    resolution: int = XRAISettings.resolution


METHODS: dict[str, type[Settings]] = {
    settings.method: settings
    for settings in (
        EvidenceSettings,
        XRAISettings,
        IntegratedGradientsSettings,
        BlurIGSettings,
        SmoothGradSettings,
        GradCAMSettings,
    )
}


def is_signed(config: Mapping[str, Any]) -> bool:
    """Whether values of an explanation of these settings are positive for the class and negative against it."""
    method = METHODS.get(config.get("method", ""))
    return (method is None or method.signed) and not config.get("magnitude")


def one_of(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Check that a value is among the allowed ones.

    Args:
        name: What the value is called in the error.
        value: The value.
        allowed: The allowed values.

    Raises:
        ValueError: `value` is not among them. The message gives the value and the allowed ones.
    """
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {tuple(allowed)}. Received: {name}={value!r}")


def at_least(name: str, value: float, minimum: float, *, whole: bool = False) -> None:
    """Check a number.

    Args:
        name: What the number is called in the error.
        value: The number.
        minimum: The lowest allowed value.
        whole: Whether it must be a whole number.

    Raises:
        ValueError: `value` is below `minimum`, not finite, or of another kind.
    """
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind) or not minimum <= value < float("inf"):
        raise ValueError(
            f"`{name}` must be {'a whole number, ' if whole else ''}{minimum} or more. Received: {name}={value!r}"
        )


def _plain(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.ndarray):  # its shape and content
        return hashlib.sha256(repr(value.shape).encode() + value.tobytes()).hexdigest()
    return value.item() if isinstance(value, np.generic) else value
