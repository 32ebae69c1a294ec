"""The page itself: one HTML file with everything in it, which a browser shows without asking the network for anything.

File names and notices are untrusted text: the templates escape all of it, and the page's own policy forbids scripts.
"""

import base64
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.formatting.text import METRICS
from artdetect.model.decision import VERDICTS
from artdetect.pictures.labels import CLASSES
from artdetect.report import config
from artdetect.report.chart_theme import SCALE
from artdetect.report.charts import Charts
from artdetect.report.filters import templates

if TYPE_CHECKING:
    from PIL import Image

PART_WIDTH = 370  # px of a panel of an explanation: sharp on a phone, and on a desktop at density 1.3
PART_BYTES = 50_000
SHEET_WIDTH = 1100
SHEET_BYTES = 350_000  # of a contact sheet, which is many pictures in one
# (share of the width, WebP quality), tried in turn until it is small enough: the first fits art, the last even noise.
_ATTEMPTS = ((1.0, 82), (1.0, 65), (1.0, 45), (0.75, 45), (0.5, 45))


def render(title: str, found: Mapping[str, Any], charts: Charts) -> str:
    """The page. `found` is of `facts.gather`, `charts` of `figures.draw`."""
    page = templates(autoescape=True).get_template("report.html.jinja")
    explanations, mistakes = found["explanations"], found["mistakes"]
    shown = [row | {"images": _parts(row["figure"])} for row in explanations["shown"]]
    return page.render(
        dict(found)
        | {
            "explanations": explanations | {"shown": shown},
            "mistakes": mistakes and mistakes | {"sheet": _sheet(mistakes["sheet"])},
            "sheet": _sheet(found["sheet"]),
        },
        title=title,
        style=(config.TEMPLATES / "report.css").read_text(encoding="utf-8"),
        charts={
            name: {f"{theme}_{shape}": _chart(png) for (theme, shape), png in variants.items()}
            for name, variants in charts.items()
        },
        metric_names=METRICS,
        classes=CLASSES,
        verdicts=VERDICTS,
    )


def data_uri(content: bytes, kind: str) -> str:
    """An image as part of the page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _chart(png: bytes) -> dict[str, Any]:
    """A chart for the page, with its size in CSS pixels."""
    width, height = struct.unpack(">II", png[16:24])  # of the IHDR chunk, which comes first
    return {"uri": data_uri(png, "png"), "width": width // SCALE, "height": height // SCALE}


def _sheet(path: Path | None) -> dict[str, Any] | None:
    from PIL import Image

    if path is None:
        return None
    with Image.open(path) as opened:
        return embedded(opened, SHEET_WIDTH, SHEET_BYTES)


def _parts(figure: Path) -> list[dict[str, Any]]:
    """The panels of an explanation, each on its own, so that a phone shows them one below the other."""
    from PIL import Image

    from artdetect.explain.figures import split_panels

    with Image.open(figure) as opened:
        return [embedded(part, PART_WIDTH, PART_BYTES) for part in split_panels(opened)]


def embedded(image: "Image.Image", widest: int, limit: int) -> dict[str, Any]:
    """A picture as a WebP for the page, of `limit` bytes where that can be: {"uri", "width", "height"}."""
    from PIL import Image

    image = image.convert("RGB")
    for share, quality in _ATTEMPTS:
        width = min(round(widest * share), image.width)
        small = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= limit:
            break
    return {"uri": data_uri(buffer.getvalue(), "webp"), "width": small.width, "height": small.height}
