"""Every verdict and every reason has words."""

import pytest

from artdetect.model import decision
from artdetect.model.decision import DecisionRule
from artdetect.model.predict import Verdict
from artdetect.serve import wording

RULE = DecisionRule(0.5, 0.2, 0.9, novelty=2.0, min_side=64, min_contrast=1.0)


@pytest.mark.parametrize("reason", decision.REASONS)
@pytest.mark.parametrize("verdict", [*decision.VERDICTS, decision.MIXED])
def test_every_verdict_and_reason_has_words(verdict: str, reason: str) -> None:
    row = Verdict("a.jpg", verdict, reason, 0.951, "m-1", None, ai_area=0.25)
    assert wording.headline(row)
    assert wording.meaning(row).endswith(".")
    assert wording.reason(row, RULE).endswith(".")


def test_a_reason_gives_the_numbers_that_decided() -> None:
    sure = Verdict("a.jpg", "AI", decision.SURE, 0.9995, "m-1", None)
    assert (
        wording.reason(sure, RULE) == "The model puts the probability of AI at over 99.9 %; it says AI from 90.0 % on."
    )
    near = Verdict("a.jpg", "unsure", decision.NEAR, 0.5, "m-1", None)
    assert wording.reason(near, RULE).endswith("at 50.0 %; between 20.0 % and 90.0 % it gives no verdict.")
    boxes = {"ai_region": (0.5, 0.0, 1.0, 0.5), "human_region": (0.0, 0.0, 1.0, 1.0)}
    region = Verdict("a.jpg", "mixed", decision.IN_PARTS, 0.5, "m-1", None, ai_area=0.25, **boxes)
    assert wording.reason(region, RULE) == (
        "25.0 % of the picture speak firmly for AI, the rest firmly for human "
        "(mixed: AI at 50 to 100 % from the left, 0 to 50 % from the top)."
    )
    broken = Verdict("a.jpg", None, None, None, "m-1", "a.jpg: the file is empty")
    assert (wording.headline(broken), wording.reason(broken, RULE)) == ("Cannot be read", "The file is empty.")
