"""The model card: what to know before trusting a verdict, as Markdown that travels with the model.

Names of pictures, styles and generators are untrusted text: everything that the template prints is escaped.
"""

from collections.abc import Mapping
from typing import Any

from artdetect.formatting import markdown
from artdetect.formatting.text import METRICS
from artdetect.model.decision import VERDICTS
from artdetect.report.filters import NBSP, environment


def render(title: str, values: Mapping[str, Any]) -> str:
    """The card as Markdown.

    Args:
        title: the report's title.
        values: the result of `context.gather`.
    """
    template = environment(finalize=_escape).get_template("model_card.md.jinja")
    return template.render(values, title=title, metric_names=METRICS, verdicts=VERDICTS)


def _escape(value: Any) -> Any:
    return markdown.escape(value.replace(NBSP, " ")) if isinstance(value, str) else value
