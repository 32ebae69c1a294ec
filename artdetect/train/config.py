"""Section `train` of the config."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from artdetect.core.config_section import Section
from artdetect.core.errors import ConfigError
from artdetect.model import backbones
from artdetect.pictures.native_crops import MAX_CROPS
from artdetect.train.calibration import Abstention, FalsePositiveRate, Share


class TrainConfig(Section):
    """Section `train`. A key that is left out takes the preset's own value."""

    preset: Literal["artnet", "finetune", "compact", "notebook"] = Field(
        "artnet", description="what is trained, and how"
    )
    seed: int = Field(129, ge=0, lt=2**32, description="seed of weights, order and augmentation")
    size: int | None = Field(
        None, ge=10, le=1024, description="side of the model's input in pixels; if left out, the preset's own"
    )

    backbone: str = Field(
        backbones.DEFAULT,
        description="artnet, finetune: the pretrained network: efficientnet-lite0, efficientnet-lite2, one of "
        "keras.applications, or hub: and a preset or folder of keras-hub",
    )
    weights: str = Field(backbones.DEFAULT_WEIGHTS, description="the backbone's weights: imagenet, or a file")
    feature_blocks: tuple[str, ...] = Field(
        ("stem..block10",),
        description="blocks of the backbone whose activation statistics are the features; a..b is a range",
    )
    degraded_views: int = Field(
        4, ge=0, le=32, description="degraded views of each picture that artnet trains on, in addition to the clean one"
    )
    pca_components: int = Field(800, ge=2, le=4096, description="principal components of the features that are kept")
    head: Literal["linear", "mlp", "best"] = Field(
        "linear", description="kind of head; best takes the one with the lower log loss on held-out sources"
    )
    test_time_views: Literal[1, 2, 6] = Field(
        1, description="views of a picture that artnet averages in use: 2 adds the mirror image, 6 also the corners"
    )
    native_crops: int = Field(
        0,
        ge=0,
        le=MAX_CROPS,
        description="unresized crops that artnet judges beside the whole picture, where its shorter side is at least "
        "1.5 train.size; 0 for none",
    )
    part_pictures: int = Field(
        4000,
        ge=0,
        le=100_000,
        description="training pictures on whose windows artnet learns to judge parts, large sources cut first; "
        "0 for none",
    )

    epochs: int | None = Field(None, ge=1, description="finetune, compact, notebook: the largest number of epochs")
    crop: int | None = Field(None, ge=8, description="compact: side of random training crops in pixels")
    unfreeze: str = Field("all", description="finetune: the first block of the backbone that is trained, or all")
    initial_weights: str | None = Field(
        None, description="finetune, compact, notebook: key of the train artifact whose weights training starts from"
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="finetune, compact, notebook: precision of layers while training; 16 bits are faster where the "
        "hardware supports them; the saved model is float32",
    )
    devices: Literal["one", "all"] = Field(
        "one", description="finetune, compact, notebook: with all, all GPUs (or logical CPUs) share each batch"
    )

    threshold: Share | FalsePositiveRate = Field(
        0.5, description="p(AI) from which the prediction is AI, or {fpr = 0.01}: the lowest with at most that rate"
    )
    abstain: Abstention = Field(
        default_factory=Abstention,
        description="min_accuracy: share of the verdicts, of AI and of human each, that must be right on held-out "
        "pictures; as many pictures are unsure as that takes, but at most max_share of them where that is given",
    )

    @model_validator(mode="after")
    def _check_initial_weights(self) -> Self:
        if self.initial_weights and self.preset == "artnet":
            raise ConfigError(
                f"train.initial_weights = {self.initial_weights!r} is not usable with artnet, whose head is always "
                "fitted anew on cached features. Leave it out, or choose finetune, compact or notebook"
            )
        return self

    @model_validator(mode="after")
    def _check_test_time_views(self) -> Self:
        if self.test_time_views == 6 and self.backbone.startswith("hub:"):
            raise ConfigError(
                f"train.test_time_views = 6 is not usable with {self.backbone}: the corners are smaller than the "
                "picture, and the encoder takes one size only. Choose 1 or 2"
            )
        return self

    def key_parts(self) -> dict[str, Any]:
        """The settings in a cache key: weights by their content, `initial_weights` only where it is set."""
        parts = super().key_parts() | backbones.identity(self.backbone, self.weights)
        if not self.initial_weights:
            del parts["initial_weights"]
        return parts
