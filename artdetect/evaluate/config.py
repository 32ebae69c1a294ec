"""Section `evaluate`."""

from pydantic import Field

from artdetect.core.config_section import Section


class EvaluateConfig(Section):
    """Section `evaluate`."""

    bootstrap_resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples behind the intervals")
    seed: int = Field(129, ge=0, description="seed of the bootstrap and of the robustness sample")
    robustness_pictures: int = Field(
        400, ge=0, description="test pictures on which robustness to degradations is measured; 0 leaves it out"
    )
