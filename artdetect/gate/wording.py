"""The words of the gate's sentences: numbers and doubts of a rule, and the verdict from the results of all rules."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.pictures.labels import AI, CLASSES, HUMAN

if TYPE_CHECKING:
    import pandas as pd

MAX_LISTED = 8  # names in a sentence
CHANCE_HELPED = " The interval also holds values that would fail: chance may have helped."
CHANCE_HURT = " The interval also holds values that would pass: chance may have hurt."


def conclusion(verdict: str, passed: Mapping[str, bool | None], ids: Mapping[str, str]) -> str:
    """The verdict in one sentence.

    Args:
        verdict: "promote" or "keep".
        passed: Rule -> whether it passed; None where it does not apply.
        ids: Side -> model id.
    """
    failing, passing = (
        listed([name for name, outcome in passed.items() if outcome is wanted]) for wanted in (False, True)
    )
    champion, challenger = ids.get("champion"), ids["challenger"]
    if verdict == "promote":
        over = f"instead of {champion}" if champion else "as the first champion: there is no champion yet"
        return f"Promote {challenger} {over}; it passes {passing}."
    if champion:
        return f"Keep {champion}: {challenger} fails {failing}."
    return f"Do not promote {challenger}, though there is no champion yet: it fails {failing}."


def missing(truth: np.ndarray) -> str:
    """Which class is missing, of pictures that are AI where `truth` says so and lack at least one."""
    return "there are no pictures" if not len(truth) else f"all are {CLASSES[AI if truth.all() else HUMAN]}"


def count(rows: "pd.DataFrame", kind: str) -> str:
    """How many pictures of a kind these are: "1,200 known test pictures"."""
    return f"{len(rows):,} {kind} {'picture' if len(rows) == 1 else 'pictures'}"


def change(numbers: Mapping[str, Any]) -> str:
    """Two shares and their difference: champion, challenger and difference of a `RuleResult`."""
    difference = numbers["difference"]
    low, high = (f"{100 * difference[end]:+.1f}" for end in ("low", "high"))
    return (
        f"{100 * numbers['champion']:.1f} % → {100 * numbers['challenger']:.1f} %, {100 * difference['value']:+.1f} "
        f"points (95 %: {low} to {high})"
    )


def points(bound: float) -> str:
    """A bound of a share: "3 points"."""
    return f"{100 * bound:g} points"


def doubt(passed: bool, gain: Mapping[str, float], bound: float) -> str:
    """A note where chance alone could have decided: the bound lies inside the interval of the gain (more is better)."""
    if passed and gain["low"] < bound:
        return CHANCE_HELPED
    if not passed and gain["high"] > bound:
        return CHANCE_HURT
    return ""


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = [f"{len(names) - MAX_LISTED:,} more"] if len(names) > MAX_LISTED else []
    return ", ".join([*names[:MAX_LISTED], *more])
