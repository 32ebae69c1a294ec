"""report: one self-contained page with all of it, for the curator, the engineer and the researcher alike, and a card.

`facts` and `quality` say what is true, `figures` draw it, `page` and `card` write it down with the templates.
"""

from collections.abc import Mapping
from pathlib import Path

from artdetect.core import digests as digests
from artdetect.report.config import ReportConfig


def run(config: ReportConfig, folders: Mapping[str, Path], out: Path) -> None:
    """Write `report.html`, which asks nothing of the network, `model_card.md`, and the page's charts to `figures/`.

    `folders` maps index, audit, balance, train, evaluate and explain to their artifact folders, whose names are their
    keys. The same artifacts give the same bytes.
    """
    from artdetect.report import charts, context, html_page, model_card

    found = context.gather(folders)
    drawn = charts.draw(found)
    (out / "figures").mkdir()
    for name, variants in drawn.items():
        (out / "figures" / f"{name}.png").write_bytes(variants["light", "wide"])
    for name, text in {
        "report.html": html_page.render(config.title, found, drawn),
        "model_card.md": model_card.render(config.title, found),
    }.items():
        (out / name).write_bytes(text.encode("utf-8", "backslashreplace"))  # a name on disk need not be Unicode
