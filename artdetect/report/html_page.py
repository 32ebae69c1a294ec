"""The page: one self-contained HTML file that makes no network requests.

File names and notices are untrusted text: the templates escape them, and the page's security policy forbids scripts.
"""

import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from artdetect.formatting.text import METRICS
from artdetect.model.decision import VERDICTS
from artdetect.pictures.palette import DARK, FOR_AI, FOR_HUMAN, LIGHT
from artdetect.report import config, page_images
from artdetect.report.chart_theme import SCALE
from artdetect.report.charts import Charts
from artdetect.report.filters import environment


def render(title: str, values: Mapping[str, Any], charts: Charts, pictures: Path | None = None) -> str:
    """The page as HTML.

    Args:
        title: the heading.
        values: the result of `context.gather`.
        charts: the result of `charts.draw`.
        pictures: the data set's root; without it, mistakes have no picture.
    """
    template = environment(autoescape=True).get_template("report.html.jinja")
    return template.render(
        dict(values)
        | {
            "explanations": page_images.explanations(values["explanations"]),
            "mistakes": page_images.mistakes(values["mistakes"], pictures),
            "audit_sheet": page_images.sheet(values["audit_sheet"]),
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
        "for_ai": f"rgb{FOR_AI}",
        "for_human": f"rgb{FOR_HUMAN}",
        "style": (config.TEMPLATES / "report.css").read_text(encoding="utf-8"),
    }


def _chart(png: bytes) -> dict[str, Any]:
    """A chart as a data URI, with its size in CSS pixels."""
    width, height = struct.unpack(">II", png[16:24])  # in the IHDR chunk, which is the first
    return {"uri": page_images.data_uri(png, "png"), "width": width // SCALE, "height": height // SCALE}
