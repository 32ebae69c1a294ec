"""report: one self-contained HTML page with all results, and a model card.

`context` and `assessment` collect the values, `charts` draws them, and `html_page` and `model_card` fill the templates.
"""

from collections.abc import Mapping
from pathlib import Path

from artdetect.artifacts import file_names
from artdetect.report.config import ReportConfig


def run(config: ReportConfig, folders: Mapping[str, Path], out: Path) -> None:
    """Write `report.html`, `model_card.md` and the page's charts to `figures/`.

    The page makes no network requests. The same artifacts give the same bytes.

    Args:
        config: section `report`.
        folders: stage -> artifact folder, for index, audit, balance, train, evaluate and explain. The folders are named
            after their keys.
        out: the folder to write to.
    """
    from artdetect.report import charts, context, html_page, model_card

    values = context.gather(folders)
    images = charts.draw(values)
    (out / "figures").mkdir()
    for name, variants in images.items():
        (out / "figures" / f"{name}.png").write_bytes(variants["light", "wide"])
    for name, text in {
        file_names.REPORT: html_page.render(config.title, values, images),
        file_names.MODEL_CARD: model_card.render(config.title, values),
    }.items():
        (out / name).write_bytes(text.encode("utf-8", "backslashreplace"))  # a file name on disk need not be Unicode
