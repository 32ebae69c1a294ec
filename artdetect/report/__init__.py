"""report: one self-contained page with all of it."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from artdetect.section import Section


class ReportConfig(Section):
    """Section `report`."""

    title: str = Field("artdetect", description="heading of the page")


def run(config: ReportConfig, folders: Mapping[str, Path], out: Path) -> None:
    (out / "report.html").write_text("placeholder")
