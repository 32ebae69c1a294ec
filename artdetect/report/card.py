"""The model card: what a curator should know before trusting a verdict, as Markdown that travels with the model.

Names of pictures, styles and generators are untrusted text: whatever the template prints is escaped.
"""

from collections.abc import Mapping
from typing import Any

from artdetect.labels import CLASSES
from artdetect.report import CARD, TEMPLATES
from artdetect.report.words import FILTERS, NBSP
from artdetect.summary import METRICS, markdown
from artdetect.verdict import VERDICTS


def render(title: str, found: Mapping[str, Any]) -> str:
    """The card. `found` is of `facts.gather`."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        finalize=_written,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= FILTERS
    return environment.get_template(CARD).render(
        found, title=title, metric_names=METRICS, classes=CLASSES, verdicts=VERDICTS
    )


def _written(value: Any) -> Any:
    """What an expression of the template prints."""
    return markdown(value.replace(NBSP, " ")) if isinstance(value, str) else value
