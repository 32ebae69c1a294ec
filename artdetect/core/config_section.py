"""The base of all config sections. Each section lives beside its stage, so that an option elsewhere wakes nothing."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen, validated part of the config; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def key_parts(self) -> dict[str, Any]:
        """What of this section shapes the stage's outputs, as JSON values: all, unless a section says less."""
        return self.model_dump(mode="json")
