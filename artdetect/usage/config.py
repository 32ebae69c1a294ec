"""Section `usage`."""

from pathlib import Path

from pydantic import Field

from artdetect.core.config_section import Section


class UsageConfig(Section):
    """Section `usage`: which log of verdicts is watched, and from when on it has drifted."""

    log: Path | None = Field(
        None, description="the file that `serve --log` and `predict --log` write to, relative to the project"
    )
    days: float = Field(30, gt=0, description="how many days back the log is looked at")
    min_pictures: int = Field(100, ge=1, description="fewer pictures say nothing")
    max_rise: float = Field(
        0.1,
        ge=0,
        le=1,
        description="a share of pictures without verdict, or unlike the training art, has drifted if its rise over "
        "what training promised is larger than this for certain (95 %)",
    )
