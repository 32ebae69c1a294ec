"""A second model beside the report's own: only on the same pictures, with paired differences."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.artifacts import registry, store
from artdetect.report import beside, champion, charts, context, html_page
from artdetect.report.champion import Other

from .conftest import RULE, Folders, copy_of, evaluation, visible_text


@pytest.fixture
def other(folders: Folders, tmp_path: Path) -> Other:
    """A model that errs on the first five test pictures and on no other, and was trained on none of them."""
    (tmp_path / "trained").mkdir()
    balance = pd.read_parquet(folders["balance"] / "balance.parquet")
    balance[balance.split == "test"].to_parquet(tmp_path / "trained" / "balance.parquet")
    copies = copy_of({"evaluate": folders["evaluate"]}, tmp_path / "other")
    table = pd.read_parquet(copies["evaluate"] / "predictions.parquet")
    ai = (table.label == "AI").to_numpy() != (np.arange(len(table)) < 5)
    write(table.assign(p_ai=np.where(ai, 0.9, 0.1)), copies["evaluate"])
    return Other(copies["evaluate"], folders["train"], tmp_path / "trained", "champion", "compact-0ther")


def write(table: pd.DataFrame, folder: Path) -> None:
    p_ai = table.p_ai.to_numpy()
    reason = RULE.reasons(p_ai)
    table = table.assign(predicted=RULE.predicted(p_ai), reason=reason, verdict=RULE.verdicts(p_ai, reason))
    table.to_parquet(folder / "predictions.parquet")
    (folder / "metrics.json").write_text(json.dumps(evaluation(table)))


def test_every_figure_has_the_second_models_beside_it(
    folders: Folders, other: Other, chart_images: charts.Charts
) -> None:
    values = context.gather(folders, other)
    found = values["beside"]
    accuracy = values["metrics"]["accuracy"]["value"]
    assert found["differences"]["accuracy"]["old"] == pytest.approx(1 - 5 / 24)
    assert found["differences"]["accuracy"]["change"] == pytest.approx(accuracy - (1 - 5 / 24))
    human = found["groups"]["generator"]["human"]
    own = next(row for row in values["generators"] if row["name"] == "human")
    assert human["difference"]["value"] == pytest.approx(own["accuracy"]["value"] - human["accuracy"]["value"])
    assert {row["name"] for row in values["sources"]} == set(found["groups"]["source"])
    page = html_page.render("A title", values, chart_images)
    text = visible_text(page)
    theirs = found["metrics"]
    assert "the champion compact-0ther , on the same test pictures" in text
    for name in ("accuracy", "roc_auc"):
        value, low, high = (f"{theirs[name][part]:.3f}" for part in ("value", "low", "high"))
        assert f'<td class="num second">{value} <span class="hint">{low}–{high}</span></td>' in page
    assert f"The champion is unsure about {theirs['unsure']['pictures']} of them" in text
    tables = page.count("</thead>"), page.count(">champion</th>")
    assert tables[1] >= 6, tables
    wrong_there = visible_text(page[page.index('id="mistakes"') :])
    assert "champion: human, p(AI) 0.100 , wrong" in wrong_there


@pytest.mark.slow
def test_charts_show_the_second_model(folders: Folders, other: Other) -> None:
    alone, both = (charts.draw(context.gather(folders, second)) for second in (None, other))
    for name in ("confusion", "reliability", "coverage"):
        assert alone[name]["light", "wide"] != both[name]["light", "wide"], name


def test_a_model_that_was_judged_on_other_pictures_has_a_sentence_and_no_number(
    folders: Folders, other: Other, chart_images: charts.Charts
) -> None:
    table = pd.read_parquet(other.scores / "predictions.parquet")
    table.loc[3, "sha256"] = "f" * 64
    write(table.assign(p_ai=0.31415), other.scores)
    values = context.gather(folders, other)
    assert set(values["beside"]) == {"why_not"}
    text = visible_text(html_page.render("A title", values, chart_images))
    assert "The model compact-0ther was judged on other test pictures (23 of these 24)" in text
    assert "champion" not in text.replace("compares each challenger with the champion", "").replace(
        "the champion has in effect been selected", ""
    )


def test_pictures_that_the_second_model_was_trained_on_count_in_no_difference(
    folders: Folders, other: Other, tmp_path: Path
) -> None:
    table = pd.read_parquet(folders["balance"] / "balance.parquet")
    known = table.path[table.split == "test"].iloc[:5]
    (tmp_path / "before").mkdir()
    moved = table.assign(split=table.split.where(~table.path.isin(known), "train"))
    moved.to_parquet(tmp_path / "before" / "balance.parquet")
    found = beside.gather(Other(other.scores, other.model, tmp_path / "before", "champion", "x"), folders)
    assert found["known"] >= 5
    assert found["differences"]["accuracy"]["old"] == 1
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(1 - 5 / 24)


def made(stage: str, key: str, content: str = "", **inputs: str) -> store.Artifact:
    with store.build(stage, key, {"inputs": inputs}) as out:
        (out / "content").write_text(content or key)
    return store.load(stage, key)


def test_the_champion_beside_is_another_one_that_was_judged_on_the_same_pictures(roots: Path) -> None:
    first, second = made("train", "t1"), made("train", "t2")
    same, other = made("balance", "b1"), made("balance", "b2")
    made("evaluate", "e1", train=first.digest, balance=same.digest)
    made("explain", "x1", train=first.digest, evaluate=store.load("evaluate", "e1").digest)
    made("explain", "x2", train=first.digest, evaluate="that of another evaluation")
    nothing = dict.fromkeys(champion.INPUTS)
    assert champion.beside(second, same, None) == nothing
    registry.promote("t1", {"balance": "b1"}, "ann", "first")
    found = champion.beside(second, same, None)
    assert {name: artifact and artifact.key for name, artifact in found.items()} == {
        "champion": "t1", "champion_scores": "e1", "champion_balance": "b1", "champion_maps": "x1", "gate": None,
    }  # fmt: skip
    assert champion.beside(second, other, None) == nothing
    assert champion.beside(first, same, None) == nothing
    registry.promote("t2", {}, "ann", "second")
    assert champion.beside(second, same, None) == found, "its report stays as it is when a model is promoted"
    assert champion.beside(first, same, None) == nothing, "the new champion was not judged on these pictures"
    (store.place("train", "t1") / "content").write_text("damaged")
    assert champion.beside(second, same, None) == nothing


def test_the_decision_of_the_gate_is_the_newest_about_this_model_as_it_was_evaluated(roots: Path) -> None:
    model, split = made("train", "t1"), made("balance", "b1")
    scores, others = made("evaluate", "e1"), made("evaluate", "e2")
    made("gate", "g1", challenger=model.digest, challenger_scores=scores.digest)
    made("gate", "g2", challenger=model.digest, challenger_scores=scores.digest)
    made("gate", "g3", challenger=model.digest, challenger_scores=others.digest)
    made("gate", "g4", challenger="another model", challenger_scores=scores.digest)
    found = champion.beside(model, split, scores)["gate"]
    assert found is not None
    assert found.key == "g2"
    assert champion.beside(model, split, None)["gate"] is None
    assert champion.beside(made("train", "t2"), split, scores)["gate"] is None


def test_pictures_that_do_not_judge_the_model_itself_stand_nowhere_in_its_report(
    folders: Folders, other: Other, tmp_path: Path, chart_images: charts.Charts
) -> None:
    """Both models were asked about all 24 pictures; three of them are among the training pictures of this one."""
    mine = folders | copy_of({"evaluate": folders["evaluate"]}, tmp_path / "mine")
    table = pd.read_parquet(mine["evaluate"] / "predictions.parquet")
    explained = pd.read_parquet(folders["explain"] / "explanations.parquet").path
    learnt = table.path[~table.path.isin(explained)][:3]
    table["in_training"] = table.path.isin(learnt)
    table.to_parquet(mine["evaluate"] / "predictions.parquet")
    judged = table[~table.in_training]
    metrics = evaluation(judged) | {"in_training": 3, "training_known": False}
    (mine["evaluate"] / "metrics.json").write_text(json.dumps(metrics))
    values = context.gather(mine, other)
    assert values["beside"]["pictures"] == 21
    assert values["beside"]["differences"]["accuracy"]["old"] == pytest.approx(
        1 - sum(table.index[~table.in_training] < 5) / 21
    )
    assert set(values["beside"]["predictions"]) == set(judged.path)
    wrong = judged.path[judged.predicted != judged.label]
    assert {row["path"] for row in values["mistakes"]["cards"]} == set(wrong)
    text = visible_text(html_page.render("A title", values, chart_images))
    assert "3 test pictures are left out of all results" in text
    assert "Not all pictures are known that the model, or one whose weights it started from, was trained on." in text


def test_with_every_optional_check_the_second_model_stands_beside_each(
    full_folders: Folders, other: Other, tmp_path: Path, chart_images: charts.Charts
) -> None:
    both = [copy_of({"evaluate": full_folders["evaluate"]}, tmp_path / name)["evaluate"] for name in ("own", "twin")]
    metrics = json.loads((both[0] / "metrics.json").read_text()) | {"slices": []}  # its slices are of other pictures
    for folder in both:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    mine = full_folders | {"evaluate": both[0]}
    twin = Other(both[1], full_folders["train"], other.balance, "champion", "artnet-0ther")
    values = context.gather(mine, twin)
    text = visible_text(html_page.render("A title", values, chart_images))
    accuracy = values["generator_attribution"]["accuracy"]["value"]
    assert f"The champion is correct in {100 * accuracy:.1f}" in text.replace("\u00a0", " ")
    metrics["generator_attribution"]["families"] = ["another"]
    (twin.scores / "metrics.json").write_text(json.dumps(metrics))
    page = html_page.render("A title", context.gather(mine, twin), chart_images)
    assert "The champion names other generators, so none of its figures stands here." in visible_text(page)
