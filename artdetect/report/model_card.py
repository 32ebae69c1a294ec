"""The model card: what a curator should know before trusting a verdict, as Markdown that travels with the model.

Names of pictures, styles and generators are untrusted text: whatever the template prints is escaped.
"""

from collections.abc import Mapping
from typing import Any

from artdetect.formatting.text import METRICS, escape_markdown
from artdetect.model.decision import VERDICTS
from artdetect.pictures.labels import CLASSES
from artdetect.report.filters import NBSP, templates


def render(title: str, found: Mapping[str, Any]) -> str:
    """The card. `found` is of `facts.gather`."""
    card = templates(finalize=_written).get_template("model_card.md.jinja")
    return card.render(found, title=title, metric_names=METRICS, classes=CLASSES, verdicts=VERDICTS)


def _written(value: Any) -> Any:
    """What an expression of the template prints."""
    return escape_markdown(value.replace(NBSP, " ")) if isinstance(value, str) else value
