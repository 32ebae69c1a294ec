"""The result of each rule on synthetic evaluations."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.core.errors import DataError
from artdetect.gate import paired_predictions, rules
from artdetect.gate.config import GateConfig
from artdetect.gate.rules import RuleResult
from artdetect.stats.bootstrap import Bootstrap
from tests.gate.synthetic_artifacts import Rights, artifacts, out_of_source_table, robustness_tables

NO_GOLDEN = {"cases": [], "outside": []}
KNOWN = {"test/AI_SD_dots": (100, 90, 90), "test/dots": (100, 90, 90)}


def apply_all(
    root: Path, groups: Rights, first: bool = False, golden: dict = NO_GOLDEN, reference: bool = False, **config
) -> dict[str, RuleResult]:
    """The results of all rules, by name; `first`: there is no champion yet."""
    made = artifacts(root, groups)
    scores = {side: made[side] for side in (("challenger",) if first else paired_predictions.SIDES)}
    others = {"reference": made["reference"]} if reference else {}
    table, _ = paired_predictions.read(made["index"], made["balance"], scores | others)
    return {
        r.name: r
        for r in rules.apply_rules(
            GateConfig(**config), table, paired_predictions.degraded_accuracy(scores, set(table.sha256)), golden
        )
    }


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
