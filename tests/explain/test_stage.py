"""What stands over a figure."""

import pytest

from artdetect.explain.stage import title


@pytest.mark.parametrize(
    ("verdict", "called", "p_ai", "says"),
    [
        ("AI", "AI", 0.93, "AI 93.0%"),
        ("human", "human", 0.07, "human 93.0%"),
        ("unsure", "AI", 0.52, "unsure, AI 52.0%"),
        ("unsure", "human", 0.48, "unsure, human 52.0%"),
        ("human", "human", 0.6, "human 40.0%"),  # where the threshold is high
        ("AI", "AI", 1.0, "AI over 99.9%"),
    ],
)
def test_a_title_says_verdict_and_probability_of_the_class_it_leans_to(
    verdict: str, called: str, p_ai: float, says: str
) -> None:
    assert title(verdict, called, p_ai) == says
    assert title(verdict, called, p_ai, "human") == f"{says}\n(is human)"
