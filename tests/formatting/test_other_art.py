"""What is known about art from other sources, in plain words."""

from typing import Any

import pytest

from artdetect.formatting import other_art


def metric(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.04}


@pytest.fixture
def metrics() -> dict[str, Any]:
    worst = {"source": "old_masters\x1b", "label": "human", "firm": 17, "right": 9}
    found = {
        "sources": {"AI": 14, "human": 27}, "enough_sources": True, "held": metric(0.85), "judged_sources": 20,
        "min_firm": 5, "held_from": 0.9, "worst": worst, **{name: metric(0.7) for name in other_art.MEASURES},
    }  # fmt: skip
    return {"out_of_source": found}


def test_verdicts_their_share_and_the_worst_source_are_said(metrics: dict[str, Any]) -> None:
    metrics["out_of_source"]["right_human"] = None
    assert other_art.sentences(metrics) == [
        "On art from sources that it has never seen, the model gives a verdict on 70.0 % of the pictures (95 % "
        "interval over 41 sources: 60–74 %). Where it says AI, it is right in 70.0 % (60–74 %). It never says human.",
        "Of the 20 sources with at least 5 verdicts, 85.0 % (75–89 %) have at least 90 % of them right. The worst is "
        "old masters\\x1b (human): 9 of 17 verdicts are right.",
    ]
    rows = {name: cells for name, *cells in other_art.rows(metrics)}
    assert rows["share with a verdict"] == ["70.0 %", "60–74 %"]
    assert rows["ROC-AUC"] == ["0.700", "0.600–0.740"]
    assert "right of the verdicts human" not in rows


def test_without_a_judged_source_none_is_named(metrics: dict[str, Any]) -> None:
    metrics["out_of_source"] |= {"held": None, "worst": None}
    assert other_art.sentences(metrics)[1] == "No source has 5 verdicts, so no source shows whether they hold."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "no source was left out of training to test the model on it"),
        ({"enough_sources": False, "sources": {"AI": 1, "human": 3}}, "are of 3 human and 1 AI source, too few to"),
    ],
)
def test_where_nothing_is_known_that_is_the_sentence(
    metrics: dict[str, Any], change: dict[str, Any] | None, reason: str
) -> None:
    metrics = {} if change is None else {"out_of_source": metrics["out_of_source"] | change}
    (sentence,) = other_art.sentences(metrics)
    assert sentence.startswith("Nothing is known about its verdicts on art from other sources: ")
    assert reason in sentence
    assert sentence.endswith("it was fitted with half the errors.")
    assert other_art.rows(metrics) == []
    assert other_art.measured(metrics) is None
