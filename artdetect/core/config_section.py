"""The base of all config sections. Each section is defined beside its stage, so that no other stage depends on it."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen, validated part of the config; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def key_parts(self) -> dict[str, Any]:
        """The settings that shape the stage's outputs, as JSON values: all of them, unless a section overrides this."""
        return self.model_dump(mode="json")
