"""What each rule says of made-up evaluations."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.core.errors import DataError
from artdetect.gate import paired_predictions, rules
from artdetect.gate.config import GateConfig
from artdetect.gate.rules import RuleResult
from tests.gate.synthetic_artifacts import Rights, artifacts, worn

NO_GOLDEN = {"cases": [], "outside": []}
OLD = {"test/AI_SD_dots": (100, 90, 90), "test/dots": (100, 90, 90)}


def judged(
    root: Path, groups: Rights, first: bool = False, golden: dict = NO_GOLDEN, reference: bool = False, **config
) -> dict[str, RuleResult]:
    made = artifacts(root, groups)
    scores = {side: made[side] for side in (("challenger",) if first else paired_predictions.SIDES)}
    others = {"reference": made["reference"]} if reference else {}
    table, _ = paired_predictions.read(made["index"], made["balance"], scores | others)
    return {
        r.name: r
        for r in rules.apply_rules(
            GateConfig(**config), table, paired_predictions.degraded(scores, set(table.sha256)), golden
        )
    }


# --- old ---


@pytest.mark.parametrize(("right", "passes"), [(90, True), (86, True), (85, False)])
def test_old_may_fall_by_two_points_of_balanced_accuracy(tmp_path: Path, right: int, passes: bool) -> None:
    """Even where no verdict differs, 200 pictures cannot rule out a fall of two points, and the sentence says so."""
    ruling = judged(tmp_path, {"test/AI_SD_dots": (100, 90, right), "test/dots": (100, 90, 90)})["old"]
    assert ruling.passed is passes
    assert ruling.difference
    assert ruling.difference["value"] == pytest.approx((right - 90) / 200)
    assert ruling.difference["low"] <= ruling.difference["value"] <= ruling.difference["high"]
    assert "Balanced accuracy on 200 old test pictures: 90.0 % →" in ruling.sentence
    assert ruling.sentence.endswith("chance may have helped." if passes else "chance may have hurt.")


@pytest.mark.parametrize(("reference", "passes"), [(91, True), (92, False)])
def test_small_losses_do_not_add_up_beyond_three_points(tmp_path: Path, reference: int, passes: bool) -> None:
    """The challenger's 88 of 100 and 88 of 100 are within two points of the champion's."""
    groups = {"test/AI_SD_dots": (100, 90, 88, reference), "test/dots": (100, 90, 88, 91)}
    found = judged(tmp_path, groups, reference=True)
    assert found["old"].passed
    drift = found["drift"]
    assert drift.passed is passes
    assert drift.difference
    assert drift.difference["value"] == pytest.approx((88 - reference + 88 - 91) / 200)
    assert drift.champion == pytest.approx((reference + 91) / 200)
    assert drift.sentence.startswith("Since the first champion: Balanced accuracy on 200 old test pictures: 9")


def test_without_an_earlier_champion_drift_does_not_apply(tmp_path: Path) -> None:
    assert judged(tmp_path, OLD)["drift"].passed is None


def test_old_counts_both_classes_alike_however_many_there_are(tmp_path: Path) -> None:
    ruling = judged(tmp_path, {"test/AI_SD_dots": (400, 400, 400), "test/dots": (10, 10, 9)})["old"]
    assert ruling.difference
    assert (ruling.passed, ruling.difference["value"]) == (False, pytest.approx(-0.05))


def test_without_a_class_old_says_so(tmp_path: Path) -> None:
    found = judged(tmp_path, {"test/AI_SD_dots": (10, 5, 6)})
    assert found["old"].passed
    assert found["old"].sentence.startswith("Accuracy (all of them AI) on 10 old test pictures: 50.0 % → 60.0 %")
    assert found["calibration"].passed is None
    assert found["chance"].passed is False
    assert "cannot be told: all are AI" in found["chance"].sentence


def test_where_no_verdict_differs_the_interval_is_that_of_what_so_few_might_hide(tmp_path: Path) -> None:
    ruling = judged(tmp_path, {"test/AI_SD_dots": (5, 5, 5), "test/dots": (5, 5, 5)})["old"]
    assert ruling.difference
    assert ruling.difference["value"] == 0
    assert ruling.difference["high"] == -ruling.difference["low"] > 0.3
    assert "chance may have helped" in ruling.sentence


# --- new ---


@pytest.mark.parametrize(
    ("flux", "met", "passes"),
    [((10, 2, 4), (2, 2, 2), True), ((10, 2, 4), (2, 2, 1), False), ((10, 5, 5), (2, 1, 1), False)],
)
def test_new_is_the_mean_over_generators_and_origins(
    tmp_path: Path, flux: tuple[int, int, int], met: tuple[int, int, int], passes: bool
) -> None:
    ruling = judged(tmp_path, OLD | {"incoming/AI/flux": flux, "incoming/human/met": met})["new"]
    assert ruling.passed is passes
    assert "12 new test pictures of 2 origins" in ruling.sentence
    assert ruling.champion == pytest.approx((flux[1] / flux[0] + met[1] / met[0]) / 2)


@pytest.mark.parametrize(("surer", "passes"), [(0.95, True), (0.85, False), (0.9, False)])
def test_where_as_many_are_right_the_log_loss_decides(tmp_path: Path, surer: float, passes: bool) -> None:
    made = artifacts(tmp_path, OLD | {"incoming/AI/flux": (10, 9, 9)})
    file = made["challenger"] / "predictions.parquet"
    said = pd.read_parquet(file)
    said.loc[said.path.str.startswith("incoming/") & (said.called == "AI"), "p_ai"] = surer
    said.to_parquet(file)
    scores = {side: made[side] for side in paired_predictions.SIDES}
    table, _ = paired_predictions.read(made["index"], made["balance"], scores)
    found = {
        r.name: r
        for r in rules.apply_rules(
            GateConfig(), table, paired_predictions.degraded(scores, set(table.sha256)), NO_GOLDEN
        )
    }
    assert found["new"].passed is passes
    losses = [-(9 * np.log(p) + np.log(0.1)) / 10 for p in (0.9, surer)]
    assert f"{losses[0]:.3f} → {losses[1]:.3f}" in found["new"].sentence


def test_there_is_nothing_to_gain_where_neither_errs(tmp_path: Path) -> None:
    ruling = judged(tmp_path, OLD | {"incoming/AI/flux": (3, 3, 3)})["new"]
    assert ruling.passed
    assert ruling.sentence == "Both are right on all 3 new test pictures of 1 origin: there is nothing to gain."


def test_without_new_pictures_the_rule_does_not_apply(tmp_path: Path) -> None:
    ruling = judged(tmp_path, OLD)["new"]
    assert ruling.passed is None
    assert "There are no new test pictures" in ruling.sentence


def test_without_old_pictures_only_chance_objects(tmp_path: Path) -> None:
    found = judged(tmp_path, {"incoming/AI/flux": (9, 3, 8), "incoming/human/met": (9, 9, 9)})
    assert {name: ruling.passed for name, ruling in found.items() if name in ("old", "new", "chance")} == {
        "old": None, "new": True, "chance": False,
    }  # fmt: skip


# --- golden ---


def case(name: str, champion: str | None, challenger: str | None, error: str | None = None) -> dict:
    called = {} if error else {"champion": champion, "challenger": challenger}
    called = {side: said for side, said in called.items() if said}
    return {"name": name, "label": name.split("/")[0], "error": error, "learnt": [], "called": called, "p_ai": {}}


def test_a_case_that_is_lost_fails_and_one_that_both_miss_does_not(tmp_path: Path) -> None:
    missed, kept = case("AI/b.jpg", "human", "human"), case("human/c.jpg", "human", "human")
    found = judged(tmp_path / "1", OLD, golden={"cases": [missed, kept], "outside": []})["golden"]
    assert (found.passed, found.champion, found.challenger) == (True, 0.5, 0.5)
    broken = case("AI/x.jpg", None, None, "no picture")
    cases = [case("AI/a.jpg", "AI", "human"), missed, kept, broken]
    found = judged(tmp_path / "2", OLD, golden={"cases": cases, "outside": []})["golden"]
    assert found.passed is False
    assert "It is wrong on AI/a.jpg. Not judged, because they cannot be read: AI/x.jpg (no picture)." in found.sentence


def test_a_first_champion_must_be_right_on_all_cases(tmp_path: Path) -> None:
    cases = [case("AI/a.jpg", None, "human")]
    found = judged(tmp_path, OLD, first=True, golden={"cases": cases, "outside": []})
    assert {name: ruling.passed for name, ruling in found.items()} == {
        **dict.fromkeys(("old", "drift", "new", "calibration", "robustness")), "golden": False, "chance": True,
    }  # fmt: skip


# --- calibration, robustness, chance ---


def test_calibration_is_the_ece_of_the_evaluation(tmp_path: Path) -> None:
    from artdetect.evaluate.calibration import calibration

    made = artifacts(tmp_path, {"test/AI_SD_dots": (50, 45, 35), "test/dots": (50, 45, 35)})
    ruling = judged(tmp_path / "again", {"test/AI_SD_dots": (50, 45, 35), "test/dots": (50, 45, 35)})["calibration"]
    for side, value in (("champion", ruling.champion), ("challenger", ruling.challenger)):
        said = pd.read_parquet(made[side] / "predictions.parquet")
        truth = said.path.str.contains("AI_").to_numpy()
        assert value == pytest.approx(calibration(truth, said.p_ai.to_numpy(), 100, 1)["ece"]["value"])
    assert (ruling.champion, ruling.challenger) == (pytest.approx(0, abs=1e-9), pytest.approx(0.2))
    assert ruling.passed is False
    assert ruling.difference
    assert ruling.difference["low"] > 0


@pytest.mark.parametrize(("challenger", "passes"), [(0.9, True), (0.875, False), (1.0, True)])
def test_accuracy_on_degraded_pictures_may_fall_by_two_points(tmp_path: Path, challenger: float, passes: bool) -> None:
    made = artifacts(tmp_path, OLD)
    worn(made, 0.9, challenger)
    scores = {side: made[side] for side in paired_predictions.SIDES}
    table, _ = paired_predictions.read(made["index"], made["balance"], scores)
    rulings = rules.apply_rules(GateConfig(), table, paired_predictions.degraded(scores, set(table.sha256)), NO_GOLDEN)
    (ruling,) = [ruling for ruling in rulings if ruling.name == "robustness"]
    assert ruling.passed is passes
    assert (ruling.champion, ruling.challenger) == (pytest.approx(0.9), pytest.approx(challenger))


def test_robustness_that_was_not_tried_is_said(tmp_path: Path) -> None:
    ruling = judged(tmp_path, OLD)["robustness"]
    assert ruling.passed is None
    assert "the champion was not tried on degraded pictures" in ruling.sentence


@pytest.mark.parametrize(("pictures", "right", "passes"), [(100, 90, True), (100, 50, False), (4, 3, False)])
def test_chance_needs_an_interval_above_a_half(tmp_path: Path, pictures: int, right: int, passes: bool) -> None:
    groups = dict.fromkeys(OLD, (pictures, 0, right))
    ruling = judged(tmp_path, groups, first=True)["chance"]
    assert ruling.passed is passes
    assert ("too few pictures" in ruling.sentence) == (pictures == 4)


# --- the tables ---


def test_evaluations_of_other_pictures_are_an_error(tmp_path: Path) -> None:
    made = artifacts(tmp_path, OLD)
    file = made["champion"] / "predictions.parquet"
    table = pd.read_parquet(file)
    table.assign(sha256=["0" * 64, *table.sha256[1:]]).iloc[:-2].to_parquet(file)
    with pytest.raises(
        DataError, match=r"the champion was evaluated without [23] of the 200 test pictures, and on [01]"
    ):
        paired_predictions.read(made["index"], made["balance"], {side: made[side] for side in paired_predictions.SIDES})


def test_a_content_counts_once_as_an_old_picture_and_not_at_all_under_two_labels(tmp_path: Path) -> None:
    made = artifacts(tmp_path, {"test/AI_SD_dots": (4, 4, 4), "test/dots": (4, 4, 4), "incoming/AI/flux": (3, 3, 3)})
    same = {"incoming/AI/flux/000.jpg": "test/AI_SD_dots/000.jpg", "incoming/AI/flux/001.jpg": "test/dots/001.jpg"}
    for folder, name in (("balance", "balance"), ("champion", "predictions"), ("challenger", "predictions")):
        table = pd.read_parquet(file := made[folder] / f"{name}.parquet")
        content = dict(zip(table.path, table.sha256, strict=True))
        table.assign(sha256=[content[same.get(path, path)] for path in table.path]).to_parquet(file)
    scores = {side: made[side] for side in paired_predictions.SIDES}
    table, left_out = paired_predictions.read(made["index"], made["balance"], scores)
    assert left_out == 1
    assert table["set"].value_counts().to_dict() == {"old": 7, "new": 1}


def test_a_difference_is_drawn_within_each_part() -> None:
    """The interval of a mean of shares of one part with all the doubt and of a large one with none."""
    small, large = np.array([1.0, 0, 0, 0]), np.zeros(1000)
    found = paired_predictions.difference([small, large], 2000, 1)
    assert found["value"] == pytest.approx(0.125)
    assert (found["low"], found["high"]) == (0, pytest.approx(0.375, abs=0.13))
