"""What maps say, in words: those of figures, captions and the page are chosen here and nowhere else.

What a part of a picture says alone is known only where windows are calibrated, see `artdetect.model.parts`. Where they
are not, the words say so, and tell no more than where the model leans.
"""

from __future__ import annotations

from dataclasses import dataclass

from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import EvidenceSettings, is_signed


@dataclass(frozen=True)
class Words:
    """The words of a kind of map.

    Args:
        shows: What its colours show.
        low, middle, high: What its lowest value, the one in the middle, and its highest mean; "" for nothing.
        one, many: What a region does and what several do, before the name of a class where there are classes.
        rest: What places outside the regions do most of which are above the bound of `map_values.speaking`.
        little: What they do if some are.
        nothing: What they do if hardly any is.
        none: The sentence where there are no regions.
        first: A sentence before all others; "" for none.
    """

    shows: str
    low: str
    middle: str
    high: str
    one: str
    many: str
    rest: str
    little: str
    nothing: str
    none: str = "No part stands out."
    first: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What the colours of the two classes mean, and what no colour does, if that means something."""
        middle = (f"no colour {self.middle}",) if self.middle else ()
        return f"orange {self.high}", f"purple {self.low}", *middle


_BY_CLASS = "what each place speaks for", "speaks for human", "says nothing", "speaks for AI", "speaks for", "speak for"
CALIBRATED = Words(*_BY_CLASS, "leans to", "says little", "says nothing", none="No part says anything on its own.")
NOT_CALIBRATED = Words(
    "where the model leans, not calibrated", "leans to human", "", "leans to AI", "leans to", "lean to",
    "leans less to", "hardly leans", "hardly leans",
    first="Not calibrated: the map shows where the model leans; what single parts say is not known.",
)  # fmt: skip
SHARES = Words(*_BY_CLASS, "leans to", "says little", "says little")  # of the score of the whole picture
WITHOUT_SIGNS = Words(
    "where it matters", "does not matter", "", "matters most", "matters most for the verdict",
    "matter most for the verdict", "matters less", "matters less", "matters less",
)  # fmt: skip


def of(explanation: Explanation) -> Words:
    """The words of a map."""
    if not is_signed(explanation.config):
        return WITHOUT_SIGNS
    if explanation.p_ai is None and explanation.config.get("method") != EvidenceSettings.method:
        return SHARES
    return of_parts(calibrated=explanation.p_ai is not None)


def of_parts(*, calibrated: bool) -> Words:
    """The words of maps of parts that are judged alone.

    Args:
        calibrated: Whether the windows of some size are calibrated.
    """
    return CALIBRATED if calibrated else NOT_CALIBRATED
