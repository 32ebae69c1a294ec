"""The page itself: one HTML file with everything in it, which a browser shows without asking the network for anything.

File names and notices are untrusted text: the template escapes all of it, and the page's own policy forbids scripts.
"""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artdetect.report import STYLE, TEMPLATE, TEMPLATES
from artdetect.summary import METRICS

FIGURE_WIDTH = 1100  # px of an explanation: sharp on a phone, and on a desktop at density 1.3
FIGURE_BYTES = 150_000
SHEET_BYTES = 350_000  # of the audit's contact sheet, which is many pictures in one
# (width, WebP quality), tried in turn until the figure is small enough: the first fits art, the last even noise.
_ATTEMPTS = ((FIGURE_WIDTH, 82), (FIGURE_WIDTH, 65), (FIGURE_WIDTH, 45), (800, 45), (550, 45))
NBSP = "\u00a0"

Drawn = Mapping[str, Mapping[tuple[str, str], bytes]]


def render(title: str, found: Mapping[str, Any], drawn: Drawn) -> str:
    """The page. `found` is of `facts.gather`; `drawn` maps a chart's name to its PNGs by (theme, shape)."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "number": number, "probability": probability, "plain": plain}
    charts = {
        name: {f"{theme}_{shape}": data_uri(png, "png") for (theme, shape), png in variants.items()}
        for name, variants in drawn.items()
    }
    shown = [row | {"image": embedded(row["figure"])} for row in found["explanations"]["shown"]]
    sheet = embedded(found["sheet"], SHEET_BYTES) if found["sheet"] else None
    return environment.get_template(TEMPLATE).render(
        dict(found) | {"explanations": found["explanations"] | {"shown": shown}, "sheet": sheet},
        title=title,
        style=(TEMPLATES / STYLE).read_text(encoding="utf-8"),
        charts=charts,
        metric_names=METRICS,
    )


def data_uri(content: bytes, kind: str) -> str:
    """An image as part of the page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


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


def percent(share: float, digits: int = 1) -> str:
    """0.7445 -> "74.4 %", which does not break at the line's end."""
    return f"{100 * share:.{digits}f}{NBSP}%"


def number(count: int) -> str:
    """378738 -> "378,738"."""
    return f"{count:,}"


def probability(value: float) -> str:
    """Three digits; never rounded to a certainty that it is not."""
    if value < 0.0005:
        return "< 0.001" if value > 0 else "0.000"
    if value > 0.9995:
        return "> 0.999" if value < 1 else "1.000"
    return f"{value:.3f}"


def plain(name: str) -> str:
    """A style's or generator's name as people write it."""
    return name.replace("_", " ")
