"""report: one self-contained page with all of it, for the curator, the engineer and the researcher alike."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from artdetect.section import Section

TEMPLATES = Path(__file__).parent
TEMPLATE, PARTS, STYLE = "report.html.jinja", "parts.html.jinja", "report.css"


class ReportConfig(Section):
    """Section `report`."""

    title: str = Field("artdetect", description="heading of the page")

    def key_parts(self) -> dict[str, Any]:
        """The options and the template: a code digest covers Python only, and an edited template changes the page."""
        page = b"".join((TEMPLATES / name).read_bytes() for name in (TEMPLATE, PARTS, STYLE))
        return super().key_parts() | {"template": hashlib.sha256(page).hexdigest()}


def run(config: ReportConfig, folders: Mapping[str, Path], out: Path) -> None:
    """Write `report.html`, which asks nothing of the network, `figures/history.png` and `figures/confusion.png`.

    `folders` maps index, audit, balance, train, evaluate and explain to their artifact folders, whose names are their
    keys. The same contents under the same keys give the same bytes.
    """
    from artdetect.report import facts, figures, page

    found = facts.gather(folders)
    history, best = found["training"]["history"], found["training"]["best_epoch"]
    confusion = found["metrics"]["confusion"]
    drawn = {
        "history": {
            (theme, shape): figures.history(history, best, theme, shape)
            for theme in figures.THEMES
            for shape in ("wide", "narrow")
        },
        "confusion": {(theme, "wide"): figures.confusion(confusion, theme) for theme in figures.THEMES},
    }
    (out / "figures").mkdir()
    for name, variants in drawn.items():
        (out / "figures" / f"{name}.png").write_bytes(variants["light", "wide"])
    html = page.render(config.title, found, drawn)
    (out / "report.html").write_bytes(html.encode("utf-8", "backslashreplace"))  # a name on disk need not be Unicode
