"""The base of all config sections. Each section lives beside its stage, so that an option elsewhere wakes nothing."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen, validated part of the config; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
