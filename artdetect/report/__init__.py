"""report: one self-contained page with all of it, for the curator, the engineer and the researcher alike, and a card.

`facts` and `quality` say what is true, `figures` draw it, `page` and `card` write it down with the templates.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from artdetect import digests
from artdetect.section import Section

TEMPLATES = Path(__file__).parent / "templates"
PAGE, CARD, STYLE = "report.html.jinja", "model_card.md.jinja", "report.css"


class ReportConfig(Section):
    """Section `report`."""

    title: str = Field("artdetect", description="heading of the page")

    def key_parts(self) -> dict[str, Any]:
        """The options and the templates: a code digest covers Python only, and an edited template changes the page."""
        templates = {path.name: digests.of_file(path) for path in TEMPLATES.iterdir() if path.is_file()}
        return super().key_parts() | {"template": digests.of_value(templates)}


def run(config: ReportConfig, folders: Mapping[str, Path], out: Path) -> None:
    """Write `report.html`, which asks nothing of the network, `model_card.md`, and the page's charts to `figures/`.

    `folders` maps index, audit, balance, train, evaluate and explain to their artifact folders, whose names are their
    keys. The same artifacts give the same bytes.
    """
    from artdetect.report import card, facts, figures, page

    found = facts.gather(folders)
    charts = figures.draw(found)
    (out / "figures").mkdir()
    for name, variants in charts.items():
        (out / "figures" / f"{name}.png").write_bytes(variants["light", "wide"])
    for name, text in {
        "report.html": page.render(config.title, found, charts),
        "model_card.md": card.render(config.title, found),
    }.items():
        (out / name).write_bytes(text.encode("utf-8", "backslashreplace"))  # a name on disk need not be Unicode
