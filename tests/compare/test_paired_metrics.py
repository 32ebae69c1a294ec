"""Metrics, changes and intervals of two models on the same pictures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score

from artdetect.compare import compare, render_text
from artdetect.evaluate.metrics import summary
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.paired_bootstrap import METRICS, UNCLEAR, differences, mcnemar, scorer

from .conftest import NEW, OLD, evaluated, pictures, predicted


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
