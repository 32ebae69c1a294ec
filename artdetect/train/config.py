"""Section `train`."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from artdetect.core.config_section import Section
from artdetect.core.errors import ConfigError
from artdetect.model import backbones
from artdetect.train.calibration import Abstention, FalsePositiveRate, Share


class TrainConfig(Section):
    """Section `train`. What is left out takes the preset's own value."""

    preset: Literal["artnet", "finetune", "compact", "notebook"] = Field("artnet", description="which net and recipe")
    seed: int = Field(129, ge=0, lt=2**32, description="weights, order and augmentation")
    size: int | None = Field(None, ge=10, le=1024, description="canonical side in pixels; the preset's own if left out")

    backbone: str = Field(backbones.DEFAULT, description="of artnet and finetune: see artdetect.model.backbones")
    weights: str = Field(backbones.DEFAULT_WEIGHTS, description="the backbone's: imagenet, or a file")
    blocks: tuple[str, ...] = Field(
        ("stem..block10",), description="whose statistics are the features; a..b is a range"
    )
    views: int = Field(4, ge=0, le=32, description="degraded views that artnet learns from, beside each clean picture")
    components: int = Field(800, ge=2, le=4096, description="of the features' embedding")
    head: Literal["linear", "mlp", "best"] = Field("linear", description="best: whichever validation prefers")
    average: Literal[1, 2, 6] = Field(1, description="views that artnet averages at use: mirrored, and corners")

    epochs: int | None = Field(None, ge=1, description="of finetune, compact, notebook: at most so many")
    crop: int | None = Field(None, ge=8, description="side of random training crops in pixels, for compact")
    unfreeze: str = Field("all", description="of finetune: the block from which on the backbone trains, or all")
    start: str | None = Field(
        None, description="of finetune, compact, notebook: key of the train artifact whose weights they begin with"
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="of layers while they train by steps: halves are faster where the hardware has them; kept: float32",
    )
    devices: Literal["one", "all"] = Field(
        "one", description="that train by steps: all GPUs (or logical CPUs) share each batch"
    )

    threshold: Share | FalsePositiveRate = Field(
        0.5, description="p(AI) from which a picture is called AI, or {fpr = 0.01}: as high as that rate asks for"
    )
    unsure: Abstention = Field(default_factory=Abstention, description="what is left undecided")

    @model_validator(mode="after")
    def _startable(self) -> Self:
        if self.start and self.preset == "artnet":
            raise ConfigError(
                f"train.start = {self.start!r} is not usable with artnet: its head is always fitted anew on cached "
                "features. Leave it out, or choose finetune, compact or notebook"
            )
        return self

    def key_parts(self) -> dict[str, Any]:
        """A file of weights counts by its content; `start` only where there is one."""
        parts = super().key_parts() | {"weights": backbones.weights_id(self.weights)}
        return parts if self.start else {name: value for name, value in parts.items() if name != "start"}
