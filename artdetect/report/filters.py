"""Template filters: how the page and the model card write shares, counts, probabilities, intervals and names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.formatting import intervals, other_art
from artdetect.formatting.text import printable
from artdetect.report import config

if TYPE_CHECKING:
    import jinja2

NBSP = "\u00a0"


def percent(share: float, digits: int = 1) -> str:
    """0.7445 -> "74.4 %", with a no-break space."""
    return unbroken(intervals.percent(share, digits))


def number(count: int) -> str:
    """378738 -> "378,738"."""
    return f"{count:,}"


def probability(value: float) -> str:
    """0.95312 -> "0.953". A value that is not exactly 0 or 1 is never rounded to it."""
    if value < 0.0005:
        return "< 0.001" if value > 0 else "0.000"
    if value > 0.9995:
        return "> 0.999" if value < 1 else "1.000"
    return f"{value:.3f}"


def digits(value: float) -> str:
    """0.95312 -> "0.953"."""
    return f"{value:.3f}"


def interval(metric: Mapping[str, float]) -> str:
    """{"low": 0.9, "high": 0.95} -> "0.900–0.950"."""
    return intervals.span(metric)


def interval_percent(metric: Mapping[str, float], digits: int = 1) -> str:
    """{"low": 0.9, "high": 0.95} -> "90.0–95.0 %"."""
    return unbroken(intervals.percent_span(metric, digits))


def signed_span(metric: Mapping[str, float]) -> str:
    """{"low": -0.003, "high": 0.027} -> "-0.003 to +0.027"."""
    return _minus(intervals.signed_span(metric))


def signed(value: float, digits: int = 3) -> str:
    """0.012 -> "+0.012", with a real minus where it is negative."""
    return _minus(intervals.signed(value, digits))


def points_span(metric: Mapping[str, float]) -> str:
    """{"low": -0.003, "high": 0.027} -> "−0.3 to +2.7"."""
    return _minus(intervals.signed_span({end: 100 * metric[end] for end in ("low", "high")}, 1))


def _minus(text: str) -> str:
    return text.replace("-", "−")


def measure_cells(metric: Mapping[str, float] | None, key: str) -> tuple[str, str] | None:
    """A measure of art from other sources as `other_art.cells` writes it; None where there is none."""
    return other_art.cells(key, metric) if metric else None


def probability_scores(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of the probabilities in evaluate's metrics; None for one that was not measured."""
    measured = metrics.get("calibration") or {}
    return {name: measured.get(name) for name in ("ece", "brier", "log_loss")} | {"aurc": metrics.get("aurc")}


def settings_text(value: Any) -> str:
    """A setting as JSON."""
    return json.dumps(value, ensure_ascii=False)


def humanise(name: str) -> str:
    """The name of a style, generator or check: "stable_diffusion" -> "stable diffusion"."""
    return name.replace("_", " ")


def unbroken(text: str) -> str:
    """A sentence with no-break spaces before its signs of per cent."""
    return text.replace(" %", f"{NBSP}%")


_FILTERS = {
    function.__name__: function
    for function in (
        *(percent, number, probability, digits, interval, interval_percent, humanise, unbroken, printable),
        *(signed, signed_span, points_span, measure_cells, probability_scores, settings_text),
    )
}


def environment(*folders: Path, **options: Any) -> "jinja2.Environment":
    """The Jinja environment of the report's templates, with the filters of this module.

    Args:
        folders: further folders of templates, searched first.
        options: passed on to `jinja2.Environment`, such as autoescape or finalize.
    """
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, config.TEMPLATES]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    templates.filters |= _FILTERS
    return templates
