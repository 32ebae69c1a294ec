"""The rules on art from other sources, golden cases, calibration, robustness, chance and maps."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.gate import paired_predictions, rules
from artdetect.gate.config import GateConfig
from artdetect.gate.rules import RuleResult
from artdetect.stats.bootstrap import Bootstrap
from tests.gate.synthetic_artifacts import artifacts, out_of_source_table, robustness_tables

from .applied_rules import KNOWN, NO_GOLDEN, apply_all

# --- art from other sources ---


def out_of_source(root: Path, champion: dict | None, challenger: dict | None) -> RuleResult:
    """The rule's result on tables of `out_of_source_table`; None: there is none."""
    root.mkdir(exist_ok=True)
    folders = {}
    for side, given in (("champion", champion), ("challenger", challenger)):
        (folder := root / f"model of {side}").mkdir()
        folders[side] = folder
        if given is not None:
            out_of_source_table(folder / "out_of_source.parquet", **given)
    found = paired_predictions.out_of_source(folders, Bootstrap(500, 1))
    return rules._out_of_source(found)


def test_a_clear_rise_of_the_log_loss_on_other_art_is_refused(tmp_path: Path) -> None:
    result = out_of_source(tmp_path, {"p_true": 0.9}, {"p_true": 0.8})
    assert result.passed is False
    assert (result.champion, result.challenger) == (pytest.approx(-np.log(0.9)), pytest.approx(-np.log(0.8)))
    assert "Log loss on 240 pictures of 12 sources" in result.sentence
    assert out_of_source(tmp_path / "back", {"p_true": 0.8}, {"p_true": 0.9}).passed


def test_a_rise_that_a_few_sources_make_is_not_clear(tmp_path: Path) -> None:
    """Better on half of the sources, and worse on others by more."""
    steady, spread = {"p_true": 0.75}, {"p_true": 0.95, "spread": 0.45}
    result = out_of_source(tmp_path, steady, spread)
    assert result.difference
    assert result.difference["low"] < 0 < result.difference["value"]
    assert result.passed


def test_only_pictures_that_both_were_judged_on_are_compared(tmp_path: Path) -> None:
    result = out_of_source(tmp_path, {"p_true": 0.9}, {"p_true": 0.9, "sources": 9, "skip": 2})
    assert "on 160 pictures of 8 sources" in result.sentence
    assert result.difference == {"value": 0, "low": 0, "high": 0}


@pytest.mark.parametrize(
    ("champion", "challenger", "why"),
    [
        (None, {"p_true": 0.9}, "the champion was not tested on sources that it does not know."),
        ({"p_true": 0.9}, None, "the challenger was not tested on sources"),
        ({"p_true": 0.9}, {"p_true": 0.1, "skip": 3}, "of 3 AI and 3 human sources, and 4 of each are needed."),
    ],
)
def test_where_too_little_was_measured_the_rule_does_not_apply(
    tmp_path: Path, champion: dict | None, challenger: dict | None, why: str
) -> None:
    result = out_of_source(tmp_path, champion, challenger)
    assert result.passed is None
    assert why in result.sentence


# --- golden ---


def case(name: str, champion: str | None, challenger: str | None, error: str | None = None) -> dict:
    predicted = {} if error else {"champion": champion, "challenger": challenger}
    predicted = {side: label for side, label in predicted.items() if label}
    return {
        "name": name,
        "label": name.split("/")[0],
        "error": error,
        "trained_on": [],
        "predicted": predicted,
        "p_ai": {},
    }


def test_a_case_that_is_lost_fails_and_one_that_both_miss_does_not(tmp_path: Path) -> None:
    missed, held = case("AI/b.jpg", "human", "human"), case("human/c.jpg", "human", "human")
    result = apply_all(tmp_path / "1", KNOWN, golden={"cases": [missed, held], "outside": []})["golden"]
    assert (result.passed, result.champion, result.challenger) == (True, 0.5, 0.5)
    broken = case("AI/x.jpg", None, None, "no picture")
    cases = [case("AI/a.jpg", "AI", "human"), missed, held, broken]
    result = apply_all(tmp_path / "2", KNOWN, golden={"cases": cases, "outside": []})["golden"]
    assert result.passed is False
    assert (
        "The challenger is wrong on AI/a.jpg. Not counted, because they cannot be read: AI/x.jpg (no picture)."
        in result.sentence
    )


def test_a_first_champion_must_be_right_on_all_cases(tmp_path: Path) -> None:
    cases = [case("AI/a.jpg", None, "human")]
    results = apply_all(tmp_path, KNOWN, first=True, golden={"cases": cases, "outside": []})
    assert {name: result.passed for name, result in results.items()} == {
        **dict.fromkeys(
            (
                *("known", "since_first_champion", "new", *rules.HUMAN_ART),
                *("out_of_source", "calibration", "robustness", "localisation"),
            )
        ),
        "golden": False,
        "chance": True,
    }


# --- calibration, robustness, chance ---


def test_calibration_is_the_ece_of_the_evaluation(tmp_path: Path) -> None:
    from artdetect.evaluate.calibration import calibration

    made = artifacts(tmp_path, {"test/AI_SD_dots": (50, 45, 35), "test/dots": (50, 45, 35)})
    result = apply_all(tmp_path / "again", {"test/AI_SD_dots": (50, 45, 35), "test/dots": (50, 45, 35)})["calibration"]
    for side, value in (("champion", result.champion), ("challenger", result.challenger)):
        predictions = pd.read_parquet(made[side] / "predictions.parquet")
        truth = predictions.path.str.contains("AI_").to_numpy()
        assert value == pytest.approx(
            calibration(truth, predictions.p_ai.to_numpy(), Bootstrap(100, 1))["ece"]["value"]
        )
    assert (result.champion, result.challenger) == (pytest.approx(0, abs=1e-9), pytest.approx(0.2))
    assert result.passed is False
    assert result.difference
    assert result.difference["low"] > 0


@pytest.mark.parametrize(("challenger", "passes"), [(0.9, True), (0.875, False), (1.0, True)])
def test_accuracy_on_degraded_pictures_may_fall_by_two_points(tmp_path: Path, challenger: float, passes: bool) -> None:
    made = artifacts(tmp_path, KNOWN)
    robustness_tables(made, 0.9, challenger)
    scores = {side: made[side] for side in paired_predictions.SIDES}
    table, _ = paired_predictions.read(made["index"], made["balance"], scores)
    results = rules.apply_rules(
        GateConfig(), table, paired_predictions.degraded_accuracy(scores, set(table.sha256)), NO_GOLDEN
    )
    (result,) = [result for result in results if result.name == "robustness"]
    assert result.passed is passes
    assert (result.champion, result.challenger) == (pytest.approx(0.9), pytest.approx(challenger))


def test_robustness_that_was_not_evaluated_is_reported(tmp_path: Path) -> None:
    result = apply_all(tmp_path, KNOWN)["robustness"]
    assert result.passed is None
    assert "the champion was not evaluated on degraded pictures" in result.sentence


@pytest.mark.parametrize(("pictures", "right", "passes"), [(100, 90, True), (100, 50, False), (4, 3, False)])
def test_chance_needs_an_interval_above_a_half(tmp_path: Path, pictures: int, right: int, passes: bool) -> None:
    groups = dict.fromkeys(KNOWN, (pictures, 0, right))
    result = apply_all(tmp_path, groups, first=True)["chance"]
    assert result.passed is passes
    assert ("too few pictures" in result.sentence) == (pictures == 4)


# --- localisation ---


def localisation(challenger: float, pictures: int = 40) -> RuleResult:
    """The rule where the champion's maps have an AUC of about 0.8, and the challenger's a mean of `challenger`."""
    champion = np.linspace(0.7, 0.9, pictures)
    found = {"champion": list(champion), "challenger": list(champion[::-1] + challenger - 0.8)}
    return rules._localisation(found, GateConfig().max_drop_localisation, Bootstrap(500, 1))


@pytest.mark.parametrize(("challenger", "passes"), [(0.9, True), (0.775, True), (0.76, False)])
def test_a_challenger_whose_maps_find_less_is_refused(challenger: float, passes: bool) -> None:
    result = localisation(challenger)
    assert result.passed is passes
    assert result.difference
    assert result.difference["value"] == pytest.approx(challenger - 0.8)
    assert result.difference["low"] < result.difference["value"] < result.difference["high"]
    assert f"0.800 → {challenger:.3f}" in result.sentence
    assert "40 spliced test pictures" in result.sentence


def test_chance_is_named_where_it_could_have_decided_about_maps() -> None:
    assert localisation(0.775, pictures=8).sentence.endswith("chance may have helped.")
    assert not localisation(0.9).sentence.endswith("chance may have helped.")


def test_maps_that_could_not_be_compared_refuse_nobody() -> None:
    result = rules._localisation("there are too few pictures.", 0.03, Bootstrap(100, 1))
    assert (result.passed, result.sentence) == (None, "The maps were not compared: there are too few pictures.")
