"""Section `report`."""

from pathlib import Path
from typing import Any

from pydantic import Field

from artdetect.core import digests
from artdetect.core.config_section import Section

TEMPLATES = Path(__file__).parent / "templates"


class ReportConfig(Section):
    """Section `report`."""

    title: str = Field("artdetect", description="heading of the page")

    def key_parts(self) -> dict[str, Any]:
        """The options and the templates: an edited template changes the page, but code digests cover Python only."""
        templates = {path.name: digests.file_digest(path) for path in TEMPLATES.iterdir() if path.is_file()}
        return super().key_parts() | {"template": digests.value_digest(templates)}
