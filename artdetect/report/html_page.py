"""The page: one self-contained HTML file that makes no network requests.

File names and notices are untrusted text: the templates escape them, and the page's security policy forbids scripts.
"""

import base64
import io
import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.formatting.text import METRICS
from artdetect.model.decision import VERDICTS
from artdetect.pictures.palette import DARK, LIGHT
from artdetect.report import config
from artdetect.report.chart_theme import SCALE
from artdetect.report.charts import Charts
from artdetect.report.filters import environment

if TYPE_CHECKING:
    from PIL import Image

FIGURE_WIDTH = 1170  # px of an explanation: enlarged, a laptop's window
FIGURE_BYTES = 200_000
BESIDE_WIDTH = 390  # px of another method's
BESIDE_BYTES = 50_000
SHEET_WIDTH = 1100  # px of a contact sheet
SHEET_BYTES = 350_000
# (share of the width, WebP quality), tried in turn until the image is small enough. The last one fits even noise.
_ATTEMPTS = ((1.0, 82), (1.0, 65), (1.0, 45), (0.75, 45), (0.5, 45))


def render(title: str, values: Mapping[str, Any], charts: Charts) -> str:
    """The page as HTML.

    Args:
        title: the heading.
        values: the result of `context.gather`.
        charts: the result of `charts.draw`.
    """
    template = environment(autoescape=True).get_template("report.html.jinja")
    explanations, worst_errors = values["explanations"], values["worst_errors"]
    shown = [
        row | {"image": _explanation(row["figure"]), "beside": _beside(row["beside"])} for row in explanations["shown"]
    ]
    return template.render(
        dict(values)
        | {
            "explanations": explanations | {"shown": shown},
            "worst_errors": worst_errors and worst_errors | {"sheet": _sheet(worst_errors["sheet"])},
            "audit_sheet": _sheet(values["audit_sheet"]),
        },
        title=title,
        **look(),
        charts={
            name: {f"{theme}_{shape}": _chart(png) for (theme, shape), png in variants.items()}
            for name, variants in charts.items()
        },
        metric_names=METRICS,
        verdicts=VERDICTS,
    )


def look() -> dict[str, Any]:
    """What `head.html.jinja` needs: the colours, light and dark, and the style sheet."""
    return {
        "palettes": {"light": asdict(LIGHT), "dark": asdict(DARK)},
        "style": (config.TEMPLATES / "report.css").read_text(encoding="utf-8"),
    }


def data_uri(content: bytes, kind: str) -> str:
    """An image as a data URI; `kind` is "png" or "webp"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _chart(png: bytes) -> dict[str, Any]:
    """A chart as a data URI, with its size in CSS pixels."""
    width, height = struct.unpack(">II", png[16:24])  # in the IHDR chunk, which is the first
    return {"uri": data_uri(png, "png"), "width": width // SCALE, "height": height // SCALE}


def _sheet(path: Path | None) -> dict[str, Any] | None:
    from PIL import Image

    if path is None:
        return None
    with Image.open(path) as opened:
        return embedded(opened, SHEET_WIDTH, SHEET_BYTES)


def _explanation(figure: Path, width: int = FIGURE_WIDTH, size: int = FIGURE_BYTES) -> dict[str, Any]:
    from PIL import Image

    with Image.open(figure) as opened:
        return embedded(opened, width, size)


def _beside(others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures of other methods."""
    return [other | {"image": _explanation(other["figure"], BESIDE_WIDTH, BESIDE_BYTES)} for other in others]


def embedded(image: "Image.Image", max_width: int, max_bytes: int) -> dict[str, Any]:
    """An image as a WebP data URI.

    Args:
        image: the image, of any mode and size.
        max_width: the largest width in px; a narrower image is not enlarged.
        max_bytes: the most bytes of the WebP, not of its base64; exceeded only if the last attempt is still larger.

    Returns:
        uri, width and height.
    """
    from PIL import Image

    image = image.convert("RGB")
    for share, quality in _ATTEMPTS:
        width = min(round(max_width * share), image.width)
        small = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= max_bytes:
            break
    return {"uri": data_uri(buffer.getvalue(), "webp"), "width": small.width, "height": small.height}
