"""Two evaluated models side by side, over artifacts that the store builds."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score

from artdetect.artifacts import registry, store
from artdetect.artifacts.lineage import lineage
from artdetect.compare import compare, find, previous, render_markdown, render_text
from artdetect.core import digests
from artdetect.core.errors import ArtifactError, ConfigError, DataError
from artdetect.evaluate.metrics import summary
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.paired_bootstrap import METRICS, UNCLEAR, differences, mcnemar, scorer
from artdetect.train import out_of_source
from artdetect.train.out_of_source import OutOfSource

OLD, NEW = "0123456789abcdef", "fedcba9876543210"
MODULES = {"artdetect.pictures.images": "1" * 16, "artdetect.pictures.labels": "2" * 16}
PACKAGES = {"python": "3.11", "keras": "3.14.0"}


@pytest.fixture(autouse=True)
def root(roots: Path) -> Path:
    return roots / "artifacts"


def pictures(count: int = 240, split: str = "test") -> pd.DataFrame:
    """Rows of an index; a third is human."""
    generators = ("human", "latent_diffusion", "stable_diffusion")
    rows = [
        (f"{split}/{generator}_{style}/{number:05d}.jpg", digests.value_digest([split, number]), style, generator)
        for number in range(count)
        for generator, style in [(generators[number % 3], ("baroque", "cubism")[number // 3 % 2])]
    ]
    table = pd.DataFrame(rows, columns=["path", "sha256", "style", "generator"])
    table.insert(2, "label", np.where(table.generator == "human", "human", "AI"))
    return table


def predicted(table: pd.DataFrame, seed: int, skill: float = 1.0, digits: int = 2) -> pd.DataFrame:
    """Predictions of a model with some skill; the scores are rounded, so that some are tied."""
    logits = np.random.default_rng(seed).normal(np.where(table.label == "AI", skill, -skill))
    p_ai = (1 / (1 + np.exp(-logits))).round(digits)
    return table.assign(p_ai=p_ai, verdict=np.where(p_ai >= 0.5, "AI", "human"))


def evaluated(
    key: str,
    predictions: pd.DataFrame,
    trained: dict[str, Any] | None = None,
    modules: dict[str, str] = MODULES,
    packages: dict[str, str] = PACKAGES,
    training: pd.DataFrame | None = None,
    model: str = "",
    judged: pd.DataFrame | None = None,
) -> Path:
    """Build the evaluation `key` of a model `1<key>` that was trained on the balance `2<key>`; return its folder."""
    parts: dict[str, Any] = {"code": modules, "packages": packages}
    training = pictures(12, "train").assign(split="train") if training is None else training
    tested = predictions[["path", "sha256", "label", "style", "generator"]].assign(split="test")
    with store.build("balance", f"2{key}", parts | {"config": {"held_out_generators": []}, "inputs": {}}) as out:
        pd.concat([training, tested]).to_parquet(out / "balance.parquet", index=False)
    inputs = {"balance": store.load("balance", f"2{key}").digest}
    config = {"preset": "compact", "epochs": 20} | (trained or {})
    with store.build("train", f"1{key}", parts | {"config": config, "inputs": inputs}) as out:
        (out / "model.keras").write_text(model or key)
        if judged is not None:
            judged.to_parquet(out / "out_of_source.parquet")
            found = out_of_source.summary(OutOfSource(judged, {"AI": 5, "human": 5}))
            (out / "metrics.json").write_text(json.dumps({"out_of_source": found}))
    inputs["train"] = store.load("train", f"1{key}").digest
    with store.build("evaluate", key, parts | {"config": {"seed": 129}, "inputs": inputs}) as out:
        predictions.to_parquet(out / "predictions.parquet", index=False)
    return store.place("evaluate", key)


@pytest.fixture
def pair() -> tuple[Path, Path]:
    """A poor model and a good one, with different settings."""
    test = pictures()
    training = pd.concat([pictures(9, "train"), pictures(30, "more").query("generator == 'latent_diffusion'")])
    return (
        evaluated(OLD, predicted(test, 1, 0.6)),
        evaluated(
            NEW, predicted(test, 2, 2), {"epochs": 22, "precision": "bfloat16"},
            MODULES | {"artdetect.pictures.images": "3" * 16}, PACKAGES | {"keras": "3.15.1"},
            training.assign(split="train"),
        ),
    )  # fmt: skip


# --- the numbers ---


def plain(truth: np.ndarray, p_ai: np.ndarray, predicted_ai: np.ndarray) -> list[float]:
    """The metrics of scikit-learn, in the order of METRICS."""
    return [
        (truth == predicted_ai).mean(), balanced_accuracy_score(truth, predicted_ai), roc_auc_score(truth, p_ai),
        average_precision_score(truth, p_ai), brier_score_loss(truth, p_ai), log_loss(truth, p_ai),
    ]  # fmt: skip


@pytest.mark.parametrize("digits", [1, 12])
def test_metrics_changes_and_intervals_are_those_of_scikit_learn_on_the_same_resamples(digits: int) -> None:
    test = pictures(60)
    truth = (test.label == "AI").to_numpy()
    models = [(p := predicted(test, seed, 0.7, digits).p_ai.to_numpy(), p >= 0.5) for seed in (3, 4)]
    old_scorer, new_scorer = (scorer(truth, *model) for model in models)
    bootstrap = Bootstrap(40, 7)
    result = differences(truth, old_scorer, new_scorer, bootstrap)
    changes = []
    for (times,) in bootstrap.counts(truth, block=1):
        rows = np.repeat(np.arange(len(truth)), times)
        old, new = (plain(truth[rows], p_ai[rows], predicted[rows]) for p_ai, predicted in models)
        changes.append(np.subtract(new, old))
    tails = np.quantile(changes, [0.025, 0.975], axis=0)
    for number, name in enumerate(METRICS):
        row, values = result[name], [plain(truth, *model)[number] for model in models]
        assert (row["old"], row["new"]) == pytest.approx(values)
        assert row["change"] == pytest.approx(values[1] - values[0])
        assert (row["low"], row["high"]) == pytest.approx(tails[:, number])


def test_resamples_are_stratified_by_class_and_depend_on_the_seed() -> None:
    truth = np.arange(50) % 5 == 0
    first = [times for (times,) in Bootstrap(20, 1).counts(truth, block=1)]
    assert all((times[truth].sum(), times[~truth].sum()) == (10, 40) for times in first)
    assert np.array_equal(first, [times for (times,) in Bootstrap(20, 1).counts(truth, block=1)])
    assert not np.array_equal(first, [times for (times,) in Bootstrap(20, 2).counts(truth, block=1)])
    assert np.mean(first, axis=0) == pytest.approx(1, abs=1.2)


def test_probabilities_of_0_and_1_keep_the_log_loss_finite() -> None:
    truth, p_ai = np.array([True, False]), np.array([0.0, 1.0])
    assert scorer(truth, p_ai, p_ai >= 0.5)(np.ones(2, int))[-1] == pytest.approx(log_loss(truth, p_ai))


def test_mcnemars_test_is_exact() -> None:
    """By hand: 2 or fewer of 10 flips on one side, twice (1 + 10 + 45) / 1024."""
    assert mcnemar(2, 8) == mcnemar(8, 2) == pytest.approx(2 * 56 / 1024)
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(0, 0) == mcnemar(7, 7) == 1


def test_values_are_those_of_the_evaluate_stage(pair: tuple[Path, Path]) -> None:
    result = compare(*pair, resamples=20)
    for side, folder in zip(("old", "new"), pair, strict=True):
        table = pd.read_parquet(folder / "predictions.parquet")
        stage = summary(table.assign(predicted=table.verdict), Bootstrap(20, 129))
        for name in ("accuracy", "balanced_accuracy", "roc_auc", "average_precision"):
            assert result["metrics"][name][side] == pytest.approx(stage[name]["value"])
        for column in ("generator", "style"):
            expected = {row[column]: row["accuracy"] for row in stage[f"by_{column}"]}
            assert {row[column]: row[side] for row in result[f"by_{column}"]} == expected


def test_a_better_model_is_better_in_all_and_the_other_way_round_worse(pair: tuple[Path, Path]) -> None:
    old, new = pair
    forth, back = compare(old, new, 200)["metrics"], compare(new, old, 200)["metrics"]
    assert {row["verdict"] for row in forth.values()} == {"better"}
    assert {row["verdict"] for row in back.values()} == {"worse"}
    assert forth["brier"]["change"] < 0 < forth["accuracy"]["change"]
    for name in METRICS:
        assert [forth[name][part] for part in ("change", "low", "high")] == pytest.approx(
            [-back[name][part] for part in ("change", "high", "low")]
        )


def test_models_of_equal_skill_are_not_clearly_different() -> None:
    result = compare(evaluated(OLD, predicted(pictures(), 1)), evaluated(NEW, predicted(pictures(), 5)), 200)
    assert result["metrics"]["roc_auc"]["verdict"] == UNCLEAR
    assert result["metrics"]["roc_auc"]["change"] != 0


def test_the_same_predictions_differ_in_nothing(pair: tuple[Path, Path]) -> None:
    result = compare(pair[0], pair[0], 50)
    assert result["same_predictions"]
    for row in result["metrics"].values():
        assert (row["change"], row["low"], row["high"], row["verdict"]) == (0, 0, 0, UNCLEAR)
    assert result["mcnemar"] == {"right_to_wrong": 0, "wrong_to_right": 0, "p": 1.0}
    assert not any(result["changes"].values())
    assert "all differences are zero" in result["notes"][0]
    text = render_text(result)
    assert "nothing differs" in text
    assert "Nothing: config, data set, code and packages are the same." in text


@pytest.mark.slow
def test_30_000_pictures_are_compared_in_seconds() -> None:
    """The time is not asserted: some seconds, where sorting and scoring each resample anew takes minutes."""
    test = pictures(30_000)
    result = compare(evaluated(OLD, predicted(test, 1, digits=9)), evaluated(NEW, predicted(test, 2, digits=9)))
    row = result["metrics"]["accuracy"]
    truth = test.label == "AI"
    right = [(predicted(test, seed, digits=9).verdict == "AI") == truth for seed in (1, 2)]
    error = np.std(right[1].astype(int) - right[0].astype(int)) / len(test) ** 0.5
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * error, rel=0.15)


# --- art from other sources ---


def judged(p_true: float, first: int = 0) -> pd.DataFrame:
    """What pictures of five sources of each class are called; `first` tells apart the pictures of different data."""
    rows = [
        (f"{label}{source}{picture}", label, f"{label} {source}", p_true if label == "AI" else 1 - p_true)
        for label in ("AI", "human")
        for source in range(first, first + 5)
        for picture in range(10)
    ]
    table = pd.DataFrame(rows, columns=["sha256", "label", "group", "p_ai"])
    return table.assign(verdict=np.where(table.p_ai >= 0.5, "AI", "human"), weight=1.0)


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [(0.8, 0.9, "better"), (0.9, 0.8, "worse"), (0.9, 0.9, "not clear")]
)
def test_art_from_other_sources_comes_first_and_is_ranked_on_common_pictures(
    old: float, new: float, verdict: str
) -> None:
    test = pictures()
    result = compare(
        evaluated(OLD, predicted(test, 1), judged=judged(old)),
        evaluated(NEW, predicted(test, 2), judged=judged(new)), 200,
    )  # fmt: skip
    found = result["other_art"]
    assert found["log_loss"]["change"]["value"] == pytest.approx(np.log(old / new))
    assert (found["log_loss"]["pictures"], found["log_loss"]["sources"]) == (100, 10)
    assert found["new"]["log_loss"]["value"] == pytest.approx(-np.log(new))
    text = render_text(result)
    assert text.index("Art from other sources") < text.index("Test metrics")
    assert f"On the 100 pictures of 10 sources that both were judged on, the new one is {verdict}" in text


def test_art_of_different_data_sets_is_not_ranked() -> None:
    test = pictures()
    result = compare(
        evaluated(OLD, predicted(test, 1), judged=judged(0.8)),
        evaluated(NEW, predicted(test, 2), judged=judged(0.9, first=3)), 20,
    )  # fmt: skip
    assert result["other_art"]["log_loss"] == (
        "both were judged on pictures of 2 AI and 2 human sources, and 4 of each are needed"
    )
    assert "These figures are not ranked: both were judged on" in render_text(result)


def test_where_nothing_is_known_about_other_art_the_comparison_says_so(pair: tuple[Path, Path]) -> None:
    assert "Nothing is known about either model." in render_text(compare(*pair, 20))
    new = evaluated("abcdef", predicted(pictures(), 2), judged=judged(0.9))
    text = render_text(compare(pair[0], new, 20))
    assert re.search(r"ROC-AUC +not known +1\.000 \(0\.566–1\.000\)", text)
    assert "not ranked: nothing is known about art from other sources for both models." in text


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


# --- lineage ---


def test_changes_are_read_from_the_records(pair: tuple[Path, Path]) -> None:
    assert compare(*pair, 20)["changes"] == {
        "config": [
            {"name": "train.epochs", "stages": ["train"], "old": 20, "new": 22},
            {"name": "train.precision", "stages": ["train"], "old": None, "new": "bfloat16"},
        ],
        "code": [
            {
                "name": "artdetect.pictures.images",
                "stages": ["balance", "train", "evaluate"],
                "old": "1" * 16,
                "new": "3" * 16,
            }
        ],
        "packages": [{"name": "keras", "stages": ["balance", "train", "evaluate"], "old": "3.14.0", "new": "3.15.1"}],
        "inputs": [],
    }


def test_pictures_are_counted_by_split_label_and_generator(pair: tuple[Path, Path]) -> None:
    rows = {(row["split"], row["label"]): row for row in compare(*pair, 20)["data"]["splits"]}
    assert list(rows) == [("train", "AI"), ("train", "human"), ("test", "AI"), ("test", "human")]
    assert rows["train", "AI"]["old"]["generators"] == {"latent_diffusion": 4, "stable_diffusion": 4}
    assert rows["train", "AI"]["new"] == {
        "pictures": 16, "generators": {"latent_diffusion": 13, "stable_diffusion": 3},
    }  # fmt: skip
    assert rows["test", "human"]["new"]["pictures"] == 80


def test_each_side_names_its_model_and_its_artifacts(pair: tuple[Path, Path]) -> None:
    old = compare(*pair, 20)["old"]
    assert old["artifacts"] == {
        "index": None, "audit": None, "balance": f"2{OLD}", "train": f"1{OLD}", "evaluate": OLD,
    }  # fmt: skip
    assert old["model"] == f"compact-{digests.file_digest(store.place('train', f'1{OLD}') / 'model.keras')[:8]}"
    assert old["folder"] == str(pair[0])


def test_of_trainings_to_the_same_model_the_one_that_was_evaluated_counts() -> None:
    first = evaluated("same0", predicted(pictures(), 1), {"epochs": 20}, model="same")
    second = evaluated("same1", predicted(pictures(), 1), {"epochs": 30}, model="same")
    result = compare(first, second, 20)
    assert [result[side]["artifacts"]["train"] for side in ("old", "new")] == ["1same0", "1same1"]
    assert [row["new"] for row in result["changes"]["config"]] == [30]


def test_missing_artifacts_are_noted_and_the_rest_is_compared(pair: tuple[Path, Path], root: Path) -> None:
    shutil.rmtree(root / "train" / f"1{OLD}")
    shutil.rmtree(root / "balance" / f"2{OLD}")
    result = compare(*pair, 20)
    assert (result["old"]["model"], result["old"]["trained"]) == (None, None)
    assert result["changes"]["config"] == []
    assert [change["stages"] for change in result["changes"]["code"]] == [["evaluate"]]
    assert "train (old)" in result["notes"][-1]
    rows = {(row["split"], row["label"]): row for row in result["data"]["splits"]}
    assert rows["train", "AI"]["old"] is None
    assert rows["test", "AI"]["old"]["pictures"] == 160
    json.dumps(result, allow_nan=False)
    assert render_text(result).startswith("a model that no longer exists → compact-")


def test_a_damaged_table_is_named(pair: tuple[Path, Path], root: Path) -> None:
    path = root / "balance" / f"2{NEW}" / "balance.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=str(path)):
        compare(*pair)
    (pair[0] / "predictions.parquet").unlink()
    with pytest.raises(ArtifactError, match=f"{OLD}/predictions.parquet: missing"):
        compare(*pair)


# --- names ---


def test_newest_and_previous_and_the_one_before(pair: tuple[Path, Path]) -> None:
    assert (find("previous"), find("newest")) == pair
    assert previous(pair[1]) == pair[0]
    with pytest.raises(ArtifactError, match=f"evaluate/{OLD}: there is no evaluation before it"):
        previous(pair[0])


def test_the_champion_is_the_newest_evaluation_of_its_model(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ArtifactError, match=r"there is no champion yet\. .*`artdetect promote KEY`"):
        find("champion")
    evaluated = {folder: lineage(folder)["train"].folder.name for folder in pair}
    registry.promote(evaluated[pair[0]], {}, "me", "")
    assert find("champion") == pair[0]


def test_without_any_evaluation_it_says_how_to_get_one() -> None:
    for name in ("newest", "previous"):
        with pytest.raises(ArtifactError, match="artdetect run"):
            find(name)
    with pytest.raises(ArtifactError, match="There are: none yet"):
        find("abcd")


@pytest.mark.parametrize("name", [NEW, NEW[:4], f"1{NEW}", f"1{NEW[:5]}"])
def test_a_key_or_its_beginning_names_an_evaluation_or_its_model(pair: tuple[Path, Path], name: str) -> None:
    assert find(name) == pair[1]


def test_a_folder_stands_for_its_evaluation_too(
    pair: tuple[Path, Path], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(str(pair[0])) == find(str(root / "train" / f"1{OLD}")) == pair[0]
    monkeypatch.chdir(root)
    assert find(f"evaluate/{OLD}/") == pair[0]
    with pytest.raises(ConfigError, match="it is of stage balance; name one of evaluate, train, report"):
        find(f"balance/2{OLD}")
    with pytest.raises(ArtifactError, match="evaluate/absent: there is no artifact"):
        find("evaluate/absent")


def test_an_evaluation_below_another_project_is_compared_with_its_own_artifacts(
    pair: tuple[Path, Path], root: Path, tmp_path: Path
) -> None:
    root.rename(tmp_path / "elsewhere")
    folder = find(str(tmp_path / "elsewhere" / "train" / f"1{NEW}"))
    assert folder == tmp_path / "elsewhere" / "evaluate" / NEW
    assert compare(previous(folder), folder, 20)["new"]["artifacts"]["balance"] == f"2{NEW}"


def test_a_report_stands_for_the_evaluation_it_shows(pair: tuple[Path, Path]) -> None:
    with store.build("report", "9876543210", {"inputs": {"evaluate": store.load("evaluate", OLD).digest}}) as out:
        (out / "report.html").write_text("<html>")
    assert find("9876") == pair[0]


def test_a_model_stands_for_its_newest_evaluation(pair: tuple[Path, Path]) -> None:
    inputs = {"train": store.load("train", f"1{OLD}").digest}
    with store.build("evaluate", "again", {"inputs": inputs}) as out:
        predicted(pictures(), 1).to_parquet(out / "predictions.parquet", index=False)
    assert find(f"1{OLD}").name == "again"


def test_a_model_without_an_evaluation_is_an_error(pair: tuple[Path, Path], root: Path) -> None:
    shutil.rmtree(pair[0])
    with pytest.raises(ArtifactError, match=f"train/1{OLD}: there is no evaluation of it"):
        find(f"1{OLD}")


def test_a_key_that_is_too_short_unknown_or_ambiguous_is_an_error(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match=r"'fed': give at least 4 characters"):
        find("fed")
    with pytest.raises(ArtifactError, match=f"abcdef: no such key.*evaluate/{NEW}, train/1{NEW}, evaluate/{OLD}"):
        find("abcdef")
    evaluated("fedcffff", predicted(pictures(30), 1))
    with pytest.raises(ArtifactError, match=f"fedc: could be evaluate/{NEW}, evaluate/fedcffff"):
        find("fedc")


@pytest.mark.parametrize("change", [{"parts": []}, {"outputs": None}, {"started": 3}])
def test_a_broken_record_is_an_error_and_no_candidate(pair: tuple[Path, Path], change: dict[str, Any]) -> None:
    record = pair[1] / store.RECORD
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    with pytest.raises(ArtifactError, match=rf"{NEW}: its record\.json is not that of an artifact"):
        find(str(pair[1]))
    assert find("newest") == pair[0]


# --- for people ---


def test_the_result_is_json_without_nan(pair: tuple[Path, Path]) -> None:
    result = compare(*pair, 20)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_the_same_seed_gives_the_same_result_and_another_other_intervals(pair: tuple[Path, Path]) -> None:
    assert compare(*pair, 20) == compare(*pair, 20)
    assert compare(*pair, 20)["metrics"] != compare(*pair, 20, seed=1)["metrics"]


def test_the_text_answers_first_and_has_all_parts(pair: tuple[Path, Path]) -> None:
    text = render_text(compare(*pair, 100))
    titles = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert [re.sub(r"\d+", "N", title.split(",")[0]) for title in titles[1:]] == [
        "Art from other sources", "Evaluations", "What changed", "Pictures", "Test metrics", "Right before",
        "Wrong before", "Accuracy by generator", "Accuracy by style",
    ]  # fmt: skip
    assert "On the 240 common test pictures (160 AI, 80 human) the new one is better in accuracy," in text
    assert re.search(r"package +keras +3.14.0 +3.15.1 +balance, train, evaluate", text)
    assert re.search(r"code +artdetect.pictures.images +11111111 +33333333", text)
    assert re.search(r"train +AI +8 +16 +latent_diffusion 4 → 13, stable_diffusion 4 → 3\n", text)
    assert re.search(r"ROC-AUC +0\.\d{4} +0\.\d{4} +\+0\.\d{4} +\+0\.\d{4} to \+0\.\d{4}  better\n", text)


NASTY = "test/a|b\\|c`d`*_[x](y)<img>&lt;\n\x1b[31m~$#.jpg"


def nasty() -> dict[str, Any]:
    old = predicted(pictures(30), 1, 9).assign(path=NASTY)
    new = old.assign(p_ai=1 - old.p_ai, verdict=np.where(old.p_ai >= 0.5, "human", "AI"), style="a|b")
    return compare(evaluated(OLD, old), evaluated(NEW, new, {"note": "x|y\x1b"}), 20)


def test_names_cannot_steer_the_terminal() -> None:
    text = render_text(nasty())
    assert all(line.isprintable() for line in text.splitlines())
    assert r"<img>&lt;\n\x1b[31m~$#.jpg" in text


def test_names_cannot_leave_their_cell_in_markdown() -> None:
    text = render_markdown(nasty())
    assert all(line.isprintable() for line in text.splitlines())
    assert r"test/a&#124;b\\&#124;c\`d\`\*\_\[x\](y)&lt;img&gt;&amp;lt;\\n\\x1b\[31m\~\$\#.jpg |" in text
    bars: list[int] = []
    for line in text.splitlines():
        bars = [*bars, line.count("|")] if line.startswith("|") else []
        assert len(set(bars)) <= 1, line
        assert line.startswith("|") == ("|" in line)
    assert len(re.findall("^## ", text, re.M)) == 1
    assert len(re.findall("^### ", text, re.M)) == 9
