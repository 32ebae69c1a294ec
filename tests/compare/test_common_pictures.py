"""Which pictures are compared, and what flipped on them."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.artifacts import store
from artdetect.compare import compare, render_text
from artdetect.core.errors import DataError

from .conftest import NEW, OLD, evaluated, pictures, predicted

# --- which pictures ---


def test_only_common_pictures_count_by_their_content_and_once() -> None:
    table = predicted(pictures(), 1)
    old = evaluated(OLD, pd.concat([table.iloc[:200], table.iloc[:5].assign(path=lambda rows: "test/z/" + rows.path)]))
    new = evaluated(NEW, predicted(pictures(), 2).iloc[40:].assign(path=lambda rows: "test/moved/" + rows.path))
    result = compare(old, new, 20)
    assert result["data"]["test"] == {"old": 200, "new": 200, "common": 160}
    assert sum(result["pictures"].values()) == sum(row["pictures"] for row in result["by_style"]) == 160
    assert result["notes"][:2] == [
        f"40 of the 200 test pictures of the {side} evaluation are not in the other" for side in ("old", "new")
    ]
    flipped = result["flips"]["right_to_wrong"]["pictures"] + result["flips"]["wrong_to_right"]["pictures"]
    assert all(row["path"].startswith("test/moved/") for row in flipped)


def test_pictures_whose_label_differs_are_named_and_left_out() -> None:
    table = predicted(pictures(), 1)
    relabelled = table.copy()
    relabelled.loc[3, "label"] = "AI"  # was human
    copy = table.iloc[[6]].assign(label="AI", path="test/zz/copy.jpg")  # human before, both now
    result = compare(evaluated(OLD, table), evaluated(NEW, pd.concat([relabelled, copy])), 20)
    assert result["data"]["left_out"] == {
        "count": 2,
        "pictures": [
            {"path": table.path[6], "sha256": table.sha256[6], "old": "human", "new": "AI + human"},
            {"path": table.path[3], "sha256": table.sha256[3], "old": "human", "new": "AI"},
        ],
    }
    assert sum(result["pictures"].values()) == 238
    assert f"Left out, labelled human before and AI now: {table.path[3]}" in render_text(result)


def test_tests_without_a_common_picture_cannot_be_compared() -> None:
    old = evaluated(OLD, predicted(pictures(30), 1))
    new = evaluated(NEW, predicted(pictures(60, "other"), 1))
    with pytest.raises(DataError, match=rf"^evaluate/{OLD} \(30 pictures\) and evaluate/{NEW} \(60 .* no test picture"):
        compare(old, new)


def test_evaluations_that_disagree_on_every_label_cannot_be_compared() -> None:
    table = predicted(pictures(30), 1)
    other = table.assign(label=np.where(table.label == "AI", "human", "AI"))
    with pytest.raises(DataError, match="the labels differ for all 30 that are in both"):
        compare(evaluated(OLD, table), evaluated(NEW, other))


def test_where_one_class_is_common_metrics_of_both_classes_are_absent() -> None:
    table = pictures()
    human = table[table.label == "human"]
    result = compare(evaluated(OLD, predicted(table, 1)), evaluated(NEW, predicted(human, 2)), 20)
    assert result["metrics"]["roc_auc"] == dict.fromkeys(("old", "new", "change", "low", "high", "verdict"))
    assert result["metrics"]["accuracy"]["old"] is not None
    json.dumps(result, allow_nan=False)
    assert "(needs both classes)" in render_text(result)


def test_few_pictures_and_few_flips_are_noted(pair: tuple[Path, Path]) -> None:
    assert (
        "only 80 human pictures are common, and the intervals of so few are too narrow" in compare(*pair, 20)["notes"]
    )
    table = predicted(pictures(600), 1, 3)
    table["verdict"] = table.label
    wrong = table.assign(verdict=table.verdict.where(table.index >= 5, "AI"))
    wrong.loc[wrong.index[:5], "verdict"] = np.where(wrong.label[:5] == "AI", "human", "AI")
    note = compare(evaluated("few0", wrong), evaluated("few1", table), 200)["notes"][0]
    assert note == (
        "so few predictions flipped that the change of accuracy may be chance (McNemar's exact test, p = 0.062)"
    )


# --- what flipped, and where ---


def test_flips_are_listed_by_direction_with_the_largest_change_first() -> None:
    table = pictures(12)
    truth = (table.label == "AI").astype(float)
    old = table.assign(p_ai=truth.where(table.index != 1, 0.3), verdict=table.label)
    old.loc[1, "verdict"] = "human"  # an AI picture that passed
    new = table.assign(p_ai=truth, verdict=table.label)
    new.loc[[0, 3, 6], "p_ai"] = [0.6, 0.9, 0.7]  # human ones
    new.loc[[0, 3, 6], "verdict"] = "AI"
    result = compare(evaluated(OLD, old), evaluated(NEW, new), 20, flips=2)
    lost = result["flips"]["right_to_wrong"]
    assert lost["count"] == 3
    assert [(row["path"], row["p_ai"]) for row in lost["pictures"]] == [
        (table.path[3], {"old": 0.0, "new": 0.9}),
        (table.path[6], {"old": 0.0, "new": 0.7}),
    ]
    (won,) = result["flips"]["wrong_to_right"]["pictures"]
    assert (won["path"], won["label"], won["p_ai"]) == (table.path[1], "AI", {"old": 0.3, "new": 1.0})
    assert result["mcnemar"] == {"right_to_wrong": 3, "wrong_to_right": 1, "p": pytest.approx(0.625)}
    assert [row["generator"] for row in result["by_generator"]] == ["human", "stable_diffusion", "latent_diffusion"]
    worst = result["by_generator"][0]
    assert (worst["label"], worst["pictures"], worst["change"], worst["right_to_wrong"]) == ("human", 4, -0.75, 3)
    text = render_text(result)
    assert "Largest drop of a generator: human, accuracy 1.000 → 0.250 (4 pictures)." in text
    assert "Right before, wrong now: 3; below, the 2 with the largest change" in text


def test_an_unsure_verdict_counts_as_the_predicted_class() -> None:
    old, new = predicted(pictures(), 1), predicted(pictures(), 2)
    assert compare(evaluated("plain0", old), evaluated("plain1", new), 20)["unsure"] is None
    plainly = compare(store.place("evaluate", "plain0"), store.place("evaluate", "plain1"), 20)
    unsure = new.assign(predicted=new.verdict, verdict=new.verdict.where((new.p_ai - 0.5).abs() > 0.1, "unsure"))
    result = compare(evaluated(OLD, old), evaluated(NEW, unsure), 20)
    assert result["unsure"] == {"old": 0.0, "new": pytest.approx((unsure.verdict == "unsure").mean())}
    assert result["unsure"]["new"] > 0
    for part in ("metrics", "flips", "by_generator"):
        assert result[part] == plainly[part]
    assert not compare(evaluated("sure", new), store.place("evaluate", NEW), 20)["same_predictions"]
    assert re.search(r"Unsure verdicts: 0.0% before, \d+\.\d% now", render_text(result))
