"""Section `index`."""

from typing import Any

from pydantic import Field

from artdetect.core.config_section import Section


class IndexConfig(Section):
    """Section `index`."""

    incoming: bool = Field(False, description="whether to include the pictures in data/incoming")

    def key_parts(self) -> dict[str, Any]:
        """Nothing: the digest of the pictures covers the ones included."""
        return {}
