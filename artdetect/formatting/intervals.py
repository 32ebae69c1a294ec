"""Values with their 95 % intervals as text. Pages, tables, logs and the command line write them with these functions.

A metric has `value`, `low` and `high`, as in metrics.json. The ends are None where there are too few pictures.
"""

from collections.abc import Mapping
from typing import Any

Metric = Mapping[str, Any]


def span(metric: Metric, digits: int = 3) -> str:
    """The interval alone: "0.900–0.950"."""
    return f"{metric['low']:.{digits}f}–{metric['high']:.{digits}f}"


def percent_span(metric: Metric, digits: int = 0) -> str:
    """The interval of a share: "90–95 %"."""
    return f"{100 * metric['low']:.{digits}f}–{percent(metric['high'], digits)}"


def percent(share: float, digits: int = 1) -> str:
    """A share: "92.3 %"."""
    return f"{100 * share:.{digits}f} %"


def estimate(metric: Metric, digits: int = 3) -> str:
    """Value and interval: "0.923 (0.900–0.950)"; the value alone where there is no interval."""
    value = f"{metric['value']:.{digits}f}"
    return value if metric["low"] is None else f"{value} ({span(metric, digits)})"


def percent_estimate(metric: Metric, digits: int = 1) -> str:
    """A share and its interval: "92.3 % (90.0–95.0 %)"."""
    return f"{percent(metric['value'], digits)} ({percent_span(metric, digits)})"


def signed(number: float, digits: int = 3) -> str:
    """A difference: "+0.012"; "0" where there is none."""
    return "0" if number == 0 else f"{number:+.{digits}f}"


def signed_span(metric: Metric, digits: int = 3) -> str:
    """The interval of a difference: "-0.003 to +0.027"."""
    return f"{signed(metric['low'], digits)} to {signed(metric['high'], digits)}"


def signed_estimate(metric: Metric, digits: int = 3) -> str:
    """A difference and its interval: "+0.012 (-0.003 to +0.027)"."""
    return f"{signed(metric['value'], digits)} ({signed_span(metric, digits)})"
