"""The result of each rule on the test pictures of synthetic evaluations."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.core.errors import DataError
from artdetect.gate import paired_predictions, rules
from artdetect.gate.config import GateConfig
from artdetect.gate.rules import RuleResult
from tests.gate.synthetic_artifacts import artifacts

from .applied_rules import KNOWN, NO_GOLDEN, apply_all

# --- known ---


@pytest.mark.parametrize(("right", "passes"), [(90, True), (86, True), (85, False)])
def test_known_may_fall_by_two_points_of_balanced_accuracy(tmp_path: Path, right: int, passes: bool) -> None:
    """Even where no prediction differs, 200 pictures cannot rule out a fall of two points, and the sentence says so."""
    result = apply_all(tmp_path, {"test/AI_SD_dots": (100, 90, right), "test/dots": (100, 90, 90)})["known"]
    assert result.passed is passes
    assert result.difference
    assert result.difference["value"] == pytest.approx((right - 90) / 200)
    assert result.difference["low"] <= result.difference["value"] <= result.difference["high"]
    assert "Balanced accuracy on 200 known test pictures: 90.0 % →" in result.sentence
    assert result.sentence.endswith("chance may have helped." if passes else "chance may have hurt.")


@pytest.mark.parametrize(("reference", "passes"), [(91, True), (92, False)])
def test_small_losses_do_not_add_up_beyond_three_points(tmp_path: Path, reference: int, passes: bool) -> None:
    """The challenger's 88 of 100 and 88 of 100 are within two points of the champion's."""
    groups = {"test/AI_SD_dots": (100, 90, 88, reference), "test/dots": (100, 90, 88, 91)}
    results = apply_all(tmp_path, groups, reference=True)
    assert results["known"].passed
    result = results["since_first_champion"]
    assert result.passed is passes
    assert result.difference
    assert result.difference["value"] == pytest.approx((88 - reference + 88 - 91) / 200)
    assert result.champion == pytest.approx((reference + 91) / 200)
    assert result.sentence.startswith("Since the first champion: Balanced accuracy on 200 known test pictures: 9")


def test_without_an_earlier_champion_its_rule_does_not_apply(tmp_path: Path) -> None:
    assert apply_all(tmp_path, KNOWN)["since_first_champion"].passed is None


def test_known_counts_both_classes_the_same_whatever_their_size(tmp_path: Path) -> None:
    result = apply_all(tmp_path, {"test/AI_SD_dots": (400, 400, 400), "test/dots": (10, 10, 9)})["known"]
    assert result.difference
    assert (result.passed, result.difference["value"]) == (False, pytest.approx(-0.05))


def test_where_a_class_is_missing_the_sentence_names_the_other(tmp_path: Path) -> None:
    results = apply_all(tmp_path, {"test/AI_SD_dots": (10, 5, 6)})
    assert results["known"].passed
    assert results["known"].sentence.startswith("Accuracy (all are AI) on 10 known test pictures: 50.0 % → 60.0 %")
    assert results["calibration"].passed is None
    assert results["chance"].passed is False
    assert "cannot be measured: all are AI" in results["chance"].sentence


def test_where_no_prediction_differs_the_interval_is_wilsons(tmp_path: Path) -> None:
    result = apply_all(tmp_path, {"test/AI_SD_dots": (5, 5, 5), "test/dots": (5, 5, 5)})["known"]
    assert result.difference
    assert result.difference["value"] == 0
    assert result.difference["high"] == -result.difference["low"] > 0.3
    assert "chance may have helped" in result.sentence


# --- new ---


@pytest.mark.parametrize(
    ("flux", "met", "passes"),
    [((10, 2, 4), (2, 2, 2), True), ((10, 2, 4), (2, 2, 1), False), ((10, 5, 5), (2, 1, 1), False)],
)
def test_new_is_the_mean_over_generators_and_origins(
    tmp_path: Path, flux: tuple[int, int, int], met: tuple[int, int, int], passes: bool
) -> None:
    result = apply_all(tmp_path, KNOWN | {"incoming/AI/flux": flux, "incoming/human/met": met})["new"]
    assert result.passed is passes
    assert "12 new test pictures of 2 origins" in result.sentence
    assert result.champion == pytest.approx((flux[1] / flux[0] + met[1] / met[0]) / 2)


@pytest.mark.parametrize(("p_ai", "passes"), [(0.95, True), (0.85, False), (0.9, False)])
def test_where_the_accuracy_is_the_same_the_log_loss_decides(tmp_path: Path, p_ai: float, passes: bool) -> None:
    made = artifacts(tmp_path, KNOWN | {"incoming/AI/flux": (10, 9, 9)})
    file = made["challenger"] / "predictions.parquet"
    predictions = pd.read_parquet(file)
    predictions.loc[predictions.path.str.startswith("incoming/") & (predictions.predicted == "AI"), "p_ai"] = p_ai
    predictions.to_parquet(file)
    scores = {side: made[side] for side in paired_predictions.SIDES}
    table, _ = paired_predictions.read(made["index"], made["balance"], scores)
    results = {
        r.name: r
        for r in rules.apply_rules(
            GateConfig(), table, paired_predictions.degraded_accuracy(scores, set(table.sha256)), NO_GOLDEN
        )
    }
    assert results["new"].passed is passes
    losses = [-(9 * np.log(p) + np.log(0.1)) / 10 for p in (0.9, p_ai)]
    assert f"{losses[0]:.3f} → {losses[1]:.3f}" in results["new"].sentence


def test_there_is_nothing_to_gain_where_neither_errs(tmp_path: Path) -> None:
    result = apply_all(tmp_path, KNOWN | {"incoming/AI/flux": (3, 3, 3)})["new"]
    assert result.passed
    assert result.sentence == "Both are right on all 3 new test pictures of 1 origin: there is nothing to gain."


def test_without_new_pictures_the_rule_does_not_apply(tmp_path: Path) -> None:
    result = apply_all(tmp_path, KNOWN)["new"]
    assert result.passed is None
    assert "There are no new test pictures" in result.sentence


def test_without_known_pictures_only_chance_fails(tmp_path: Path) -> None:
    results = apply_all(tmp_path, {"incoming/AI/flux": (9, 3, 8), "incoming/human/met": (9, 9, 9)})
    assert {name: result.passed for name, result in results.items() if name in ("known", "new", "chance")} == {
        "known": None, "new": True, "chance": False,
    }  # fmt: skip


# --- human art ---


@pytest.mark.parametrize(
    ("right", "passes", "note"),
    [
        ((400, 411), True, ""),
        ((411, 400), False, "its whole interval lies above 0."),
        ((400, 399), True, "its whole interval lies above 0."),
    ],
)
def test_a_promotion_that_lost_2_5_points_of_human_art_is_refused(
    tmp_path: Path, right: tuple[int, int], passes: bool, note: str
) -> None:
    """Elsewhere it gains so much that no other rule sees it: balanced accuracy rises."""
    groups = {"test/AI_SD_dots": (258, 240, 258), "test/dots": (423, *right)}
    results = apply_all(tmp_path, groups)
    assert results["known"].passed
    for name in ("human_art", "human_art_verdicts"):
        result = results[name]
        assert result.passed is passes
        assert result.difference
        assert result.difference["value"] == pytest.approx((right[0] - right[1]) / 423)
        assert (result.champion, result.challenger) == (
            pytest.approx(1 - right[0] / 423), pytest.approx(1 - right[1] / 423),
        )  # fmt: skip
        assert result.sentence.endswith(note)
    assert "Human art predicted AI, of 423 human test pictures: " in results["human_art"].sentence
    assert "Human art given the verdict AI, of 423" in results["human_art_verdicts"].sentence


def test_a_rise_beyond_the_bound_is_refused_though_chance_may_explain_it(tmp_path: Path) -> None:
    """The flips go both ways, so the interval is wide."""
    made = artifacts(tmp_path, {"test/AI_SD_dots": (100, 90, 90), "test/dots": (100, 70, 70)})
    file = made["challenger"] / "predictions.parquet"
    table = pd.read_parquet(file)
    wrong = table.path.isin([f"test/dots/{number:03d}.jpg" for number in (*range(17), *range(85, 100))])
    human = table.path.str.startswith("test/dots")
    table["verdict"] = np.where(human, np.where(wrong, "AI", "human"), table.verdict)
    table.to_parquet(file)
    scores = {side: made[side] for side in paired_predictions.SIDES}
    paired, _ = paired_predictions.read(made["index"], made["balance"], scores)

    def result(**config: float) -> RuleResult:
        results = rules.apply_rules(GateConfig(**config), paired, "not measured", NO_GOLDEN)
        assert next(rule for rule in results if rule.name == "human_art").passed
        return next(rule for rule in results if rule.name == "human_art_verdicts")

    refused = result(max_rise_human_as_ai=0.01)
    assert refused.difference
    assert refused.difference["low"] < 0 < refused.difference["value"] == pytest.approx(0.02)
    assert not refused.passed
    assert refused.sentence.endswith("chance may have hurt.")
    assert result().passed
    assert result().sentence.endswith("chance may have helped.")


def test_without_human_pictures_the_rules_do_not_apply(tmp_path: Path) -> None:
    results = apply_all(tmp_path, {"test/AI_SD_dots": (10, 5, 6)})
    assert {results[name].passed for name in ("human_art", "human_art_verdicts")} == {None}


# --- the tables ---


def test_evaluations_of_other_pictures_are_an_error(tmp_path: Path) -> None:
    made = artifacts(tmp_path, KNOWN)
    file = made["champion"] / "predictions.parquet"
    table = pd.read_parquet(file)
    table.assign(sha256=["0" * 64, *table.sha256[1:]]).iloc[:-2].to_parquet(file)
    with pytest.raises(
        DataError, match=r"the champion was evaluated without [23] of the 200 test pictures, and on [01]"
    ):
        paired_predictions.read(made["index"], made["balance"], {side: made[side] for side in paired_predictions.SIDES})


def test_a_content_counts_once_as_a_known_picture_and_not_at_all_under_two_labels(tmp_path: Path) -> None:
    made = artifacts(tmp_path, {"test/AI_SD_dots": (4, 4, 4), "test/dots": (4, 4, 4), "incoming/AI/flux": (3, 3, 3)})
    same = {"incoming/AI/flux/000.jpg": "test/AI_SD_dots/000.jpg", "incoming/AI/flux/001.jpg": "test/dots/001.jpg"}
    for folder, name in (("balance", "balance"), ("champion", "predictions"), ("challenger", "predictions")):
        table = pd.read_parquet(file := made[folder] / f"{name}.parquet")
        content = dict(zip(table.path, table.sha256, strict=True))
        table.assign(sha256=[content[same.get(path, path)] for path in table.path]).to_parquet(file)
    scores = {side: made[side] for side in paired_predictions.SIDES}
    table, left_out = paired_predictions.read(made["index"], made["balance"], scores)
    assert left_out == 1
    assert table["set"].value_counts().to_dict() == {"known": 7, "new": 1}
