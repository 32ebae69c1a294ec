"""Section `evaluate`."""

from pydantic import Field

from artdetect.core.config_section import Section


class EvaluateConfig(Section):
    """Section `evaluate`."""

    resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples behind the intervals")
    seed: int = Field(129, ge=0, description="of the resampling, and of who is drawn for robustness")
    robustness: int = Field(400, ge=0, description="test pictures that are degraded in every way; 0 leaves it out")
