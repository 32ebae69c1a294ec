"""The page itself: one HTML file with everything in it, which a browser shows without asking the network for anything.

File names and notices are untrusted text: the templates escape all of it, and the page's own policy forbids scripts.
"""

import base64
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artdetect.labels import CLASSES
from artdetect.report import PAGE, STYLE, TEMPLATES
from artdetect.report.canvas import SCALE
from artdetect.report.figures import Charts
from artdetect.report.words import FILTERS
from artdetect.summary import METRICS
from artdetect.verdict import VERDICTS

FIGURE_WIDTH = 1100  # px of an explanation: sharp on a phone, and on a desktop at density 1.3
FIGURE_BYTES = 150_000
SHEET_BYTES = 350_000  # of a contact sheet, which is many pictures in one
# (width, WebP quality), tried in turn until the figure is small enough: the first fits art, the last even noise.
_ATTEMPTS = ((FIGURE_WIDTH, 82), (FIGURE_WIDTH, 65), (FIGURE_WIDTH, 45), (800, 45), (550, 45))


def render(title: str, found: Mapping[str, Any], charts: Charts) -> str:
    """The page. `found` is of `facts.gather`, `charts` of `figures.draw`."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= FILTERS
    explanations, mistakes = found["explanations"], found["mistakes"]
    shown = [row | {"image": embedded(row["figure"])} for row in explanations["shown"]]
    return environment.get_template(PAGE).render(
        dict(found)
        | {
            "explanations": explanations | {"shown": shown},
            "mistakes": mistakes and mistakes | {"sheet": _sheet(mistakes["sheet"])},
            "sheet": _sheet(found["sheet"]),
        },
        title=title,
        style=(TEMPLATES / STYLE).read_text(encoding="utf-8"),
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
    return embedded(path, SHEET_BYTES) if path else None


def embedded(figure: Path, limit: int = FIGURE_BYTES) -> dict[str, Any]:
    """A PNG as a WebP for the page, of `limit` bytes where that can be: {"uri", "width", "height"}."""
    from PIL import Image

    with Image.open(figure) as opened:
        image = opened.convert("RGB")
    for width, quality in _ATTEMPTS:
        width = min(width, image.width)
        small = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= limit:
            break
    return {"uri": data_uri(buffer.getvalue(), "webp"), "width": small.width, "height": small.height}
