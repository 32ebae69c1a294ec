"""A verdict as a person reads it: what it is, why, and what it does not mean."""

from typing import TYPE_CHECKING

from artdetect.core.errors import ArtdetectError
from artdetect.model import decision
from artdetect.model.decision import DecisionRule

if TYPE_CHECKING:
    from artdetect.model.predict import Verdict

HEADLINES = {
    "AI": "Looks AI-generated",
    "human": "Looks human-made",
    decision.UNSURE: "Unsure",
    decision.MIXED: "Looks AI-generated in part",
}
MEANING = {
    "AI": "It is no proof: some works of people look like this to the model. Do not accuse anybody on its word alone.",
    "human": "It is no proof: the model does not know every generator, and a picture may be AI-made in part.",
    decision.UNSURE: "This is no verdict: the picture may be either. On pictures like it, the model errs too often.",
    decision.MIXED: "It is no proof: parts of one person's work may differ like this. Look at the region yourself.",
}


def headline(verdict: "Verdict") -> str:
    """The verdict in a few words."""
    return HEADLINES[verdict.verdict] if verdict.verdict else "Cannot be read"


def reason(verdict: "Verdict", rule: DecisionRule) -> str:
    """Why a picture got its verdict, as a sentence.

    Args:
        verdict: The row of the picture.
        rule: The rule of the model that gave it.
    """
    if verdict.p_ai is None:
        why = (verdict.error or "").removeprefix(f"{verdict.path}: ")
        return f"{why[:1].upper()}{why[1:]}."
    low, high = rule.band()
    p_ai = f"the probability of AI at {percent(verdict.p_ai)}"
    if verdict.reason == decision.SURE:
        bound = f"from {percent(high)} on" if verdict.verdict == "AI" else f"below {percent(low)}"
        return f"The model puts {p_ai}; it says {verdict.verdict} {bound}."
    if verdict.reason == decision.FLAT:
        return "The picture has almost no contrast, so there is nothing to judge."
    if verdict.reason == decision.TOO_SMALL:
        return f"The picture is too small: its shorter side must have at least {rule.min_side} pixels."
    if verdict.reason == decision.UNLIKE:
        return "The picture is unlike everything that the model learnt from, so its answer would be a guess."
    if verdict.reason == decision.IN_PARTS:
        share = percent(verdict.ai_area or 0)
        return f"{share} of the picture speak firmly for AI, the rest firmly for human ({verdict.words})."
    if verdict.reason == decision.NEAR:
        return f"The model puts {p_ai}; between {percent(low)} and {percent(high)} it gives no verdict."
    raise ArtdetectError(f"there are no words for the reason {verdict.reason!r}")


def meaning(verdict: "Verdict") -> str:
    """What a verdict does not mean."""
    return MEANING[verdict.verdict] if verdict.verdict else ""


def percent(p: float) -> str:
    """A probability in per cent; a model is never certain."""
    if p > 0.999:
        return "over 99.9 %"
    if p < 0.001:
        return "under 0.1 %"
    return f"{100 * p:.1f} %"
