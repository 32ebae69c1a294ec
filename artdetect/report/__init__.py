"""report: one self-contained HTML page with all results, and a model card.

`context`, `assessment`, `beside` and `beside_maps` collect the values, `charts` draws them, and `html_page` and
`model_card` fill the templates. `champion` says which model stands beside the report's own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names
from artdetect.report.config import ReportConfig

if TYPE_CHECKING:
    from artdetect.report.champion import Other


def run(
    config: ReportConfig,
    folders: Mapping[str, Path],
    out: Path,
    pictures: Path | None = None,
    other: "Other | None" = None,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write `report.html`, `model_card.md` and the page's charts to `figures/`.

    The page makes no network requests. The same artifacts and the same origin give the same bytes.

    Args:
        config: section `report`.
        folders: stage -> artifact folder, for index, audit, balance, train, evaluate and explain; and for gate, where
            the gate of a retraining decided about this model. The folders are named after their keys.
        out: the folder to write to.
        pictures: the data set's root; without it the page shows no pictures of the mistakes.
        other: a second model beside whose figures those of the report's own stand.
        origin: the data sets, the settings and the command that makes the artifacts again, as of
            `monitoring.reproduction.origin`. Like times and commits it is in no key.

    Raises:
        PictureError: a misclassified picture can no longer be read.
        DataError: the content of a misclassified picture differs from the tables.
    """
    from artdetect.report import charts, context, html_page, model_card

    values = context.gather(folders, other, origin)
    images = charts.draw(values)
    (out / "figures").mkdir()
    for name, variants in images.items():
        (out / "figures" / f"{name}.png").write_bytes(variants["light", "wide"])
    for name, text in {
        file_names.REPORT: html_page.render(config.title, values, images, pictures),
        file_names.MODEL_CARD: model_card.render(config.title, values),
    }.items():
        (out / name).write_bytes(text.encode("utf-8", "backslashreplace"))  # a file name on disk need not be Unicode


def write_page(
    file: Path,
    title: str,
    folders: Mapping[str, Path],
    pictures: Path | None = None,
    other: "Other | None" = None,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write the page alone to a file, replacing it.

    Args:
        file: the file.
        title: the heading.
        folders: as for `run`; without train for a model from elsewhere, and without explain where nothing is explained;
            with `stages.TRAINED_ON` for a model that is tested on a later state of the data than it was trained on.
        pictures, other, origin: as for `run`.
    """
    from artdetect.core import atomic
    from artdetect.report import charts, context, html_page

    values = context.gather(folders, other, origin)
    page = html_page.render(title, values, charts.draw(values), pictures)
    atomic.write(file, page.encode("utf-8", "backslashreplace"))
