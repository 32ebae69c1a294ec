"""Drift: whether the model in use leaves more pictures without a verdict than training promised.

Two shares are compared, each with a 95 % interval: pictures that are unsure, and pictures beyond the novelty limit,
which are unlike the training art. The interval of a rise is Newcombe's (1998, method 10), made of both intervals.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from artdetect.artifacts import file_names
from artdetect.core import digests
from artdetect.formatting.intervals import percent_estimate
from artdetect.model import choice
from artdetect.model.card import model_id, read_card
from artdetect.model.decision import UNLIKE, UNSURE
from artdetect.stats.confidence_intervals import metric, share_interval
from artdetect.train.calibration import NOVELTY_QUANTILE
from artdetect.usage import log
from artdetect.usage.config import UsageConfig

Metric = dict[str, float]  # value, low, high


@dataclass(frozen=True)
class Share:
    """One share of the pictures.

    Args:
        name: What the pictures have in common.
        used: The share in use.
        promised: The share in training, and its interval.
        rise: The difference.
        drifted: Whether all of the rise's interval lies above the bound.
    """

    name: str
    used: Metric
    promised: Metric
    rise: Metric
    drifted: bool


@dataclass(frozen=True)
class Drift:
    """The comparison.

    Args:
        model: The id of the model in use.
        days: How many days were looked at.
        pictures: How many of its verdicts the log has.
        shares: The comparisons; none if there are too few pictures, or if nothing is known of the model's training.
        promise: What the promised share of unsure pictures was measured on.
        max_rise: The bound.
    """

    model: str
    days: float
    pictures: int
    shares: tuple[Share, ...]
    promise: str
    max_rise: float

    @property
    def drifted(self) -> bool:
        """Whether a share has drifted."""
        return any(share.drifted for share in self.shares)

    def sentences(self) -> list[str]:
        """The comparison in words."""
        said = [f"{self.model} gave {self.pictures:,} verdicts in the last {self.days:g} days."]
        if not self.shares:
            return [*said, "That says nothing about drift: too few, or nothing is known of the model's training."]
        for share in self.shares:
            word = "has drifted" if share.drifted else "has not drifted"
            said.append(
                f"The share of pictures {share.name} {word}: {percent_estimate(share.used)} in use, "
                f"{percent_estimate(share.promised)} promised; a rise of {_points(share.rise)}. It has drifted if all "
                f"of that interval lies above {100 * self.max_rise:g}."
            )
        return [*said, f"Promised: {self.promise}."]

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return asdict(self) | {"shares": [asdict(share) for share in self.shares], "drifted": self.drifted}


def drift(config: UsageConfig) -> Drift | None:
    """Compare the log with what training promised of the model in use; None if no log is configured.

    Raises:
        ModelError: There is no model, or it cannot be read.
        StorageError: The log cannot be read.
    """
    if config.log is None:
        return None
    path = choice.choose().path
    file = path / file_names.MODEL if path.is_dir() else path
    model = model_id(card := read_card(file), digests.file_digest(file))
    since = datetime.now(UTC) - timedelta(days=config.days)
    uses = [use for use in log.read(log.located(config.log), since) if use.model == model]
    promise = _promise(path, card)
    shares = []
    if promise and len(uses) >= config.min_pictures:
        unsure, beyond = sum(use.verdict == UNSURE for use in uses), sum(use.reason == UNLIKE for use in uses)
        shares.append(_compare("without a verdict", unsure, len(uses), promise[0], config.max_rise))
        if any(use.novelty is not None for use in uses):
            limit = 1 - NOVELTY_QUANTILE
            promised = metric(limit, limit, limit)
            shares.append(_compare("unlike the training art", beyond, len(uses), promised, config.max_rise))
    return Drift(model, config.days, len(uses), tuple(shares), promise[1] if promise else "", config.max_rise)


def _promise(path: Path, card: Mapping[str, Any]) -> tuple[Metric, str] | None:
    """The share of pictures without a verdict that training measured, and on what; None where it is not known."""
    file = path / file_names.METRICS if path.is_dir() else None
    measured = json.loads(file.read_bytes()) if file and file.is_file() else card.get(choice.STARTER_ENTRIES[1]) or {}
    for name, pictures in (
        ("out_of_source", "art from sources that were left out of training"),
        ("in_source", "validation pictures"),
    ):
        if (found := measured.get(name)) and (name == "in_source" or found["enough_sources"]):
            firm = found["firm"]
            return metric(1 - firm["value"], 1 - firm["high"], 1 - firm["low"]), pictures
    return None


def _compare(name: str, count: int, pictures: int, promised: Metric, max_rise: float) -> Share:
    used = share_interval(count, pictures)
    value = used["value"] - promised["value"]
    below = ((used["value"] - used["low"]) ** 2 + (promised["high"] - promised["value"]) ** 2) ** 0.5
    above = ((used["high"] - used["value"]) ** 2 + (promised["value"] - promised["low"]) ** 2) ** 0.5
    rise = metric(value, value - below, value + above)
    return Share(name, used, promised, rise, rise["low"] > max_rise)


def _points(found: Metric) -> str:
    return f"{100 * found['value']:.1f} points ({100 * found['low']:.1f} to {100 * found['high']:.1f})"
