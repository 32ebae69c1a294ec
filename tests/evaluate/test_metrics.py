"""The metrics of a table of predictions, compared with counts by hand and with scikit-learn."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from artdetect.evaluate.metrics import summary
from artdetect.stats.bootstrap import Bootstrap
from tests.evaluate.tables import predictions, scored

UNEVEN = predictions(("AI", "AI", 6), ("AI", "human", 2), ("human", "AI", 1), ("human", "human", 3))
HEADLINE = ("accuracy", "balanced_accuracy", "roc_auc", "average_precision")


def score(table: pd.DataFrame, resamples: int = 60, seed: int = 129) -> dict:
    return summary(table, Bootstrap(resamples, seed))


def test_the_confusion_matrix_has_the_truth_in_rows_and_ai_first() -> None:
    assert score(UNEVEN)["confusion"] == [[6, 2], [1, 3]]


def test_precision_and_recall_are_those_of_each_class_and_not_accuracy() -> None:
    result = score(UNEVEN)
    ai, human = result["classes"]["AI"], result["classes"]["human"]
    assert (ai["precision"], ai["recall"], ai["pictures"]) == (pytest.approx(6 / 7), pytest.approx(6 / 8), 8)
    assert (human["precision"], human["recall"], human["pictures"]) == (pytest.approx(3 / 5), pytest.approx(3 / 4), 4)
    assert ai["f1"] == pytest.approx(2 * 6 / (2 * 6 + 2 + 1))
    accuracy = result["accuracy"]["value"]
    assert accuracy == pytest.approx(9 / 12)
    assert accuracy not in (ai["precision"], human["precision"])


def test_balanced_accuracy_is_the_mean_of_the_recalls() -> None:
    result = score(predictions(("AI", "AI", 9), ("AI", "human", 1), ("human", "AI", 1), ("human", "human", 1)))
    assert result["balanced_accuracy"]["value"] == pytest.approx((0.9 + 0.5) / 2)
    assert result["accuracy"]["value"] == pytest.approx(10 / 12)


def test_ranking_metrics_take_ai_as_positive() -> None:
    table = predictions(("AI", "AI", 2), ("human", "human", 2)).assign(p_ai=[0.9, 0.4, 0.6, 0.1])
    result = score(table)
    assert result["roc_auc"]["value"] == pytest.approx(3 / 4)
    assert result["average_precision"]["value"] == pytest.approx((1 + 2 / 3) / 2)


def test_values_are_scikit_learns() -> None:
    table = scored(400, 150)
    truth, result = table.label == "AI", score(table)
    assert result["accuracy"]["value"] == (table.label == table.predicted).mean()
    assert result["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(table.label, table.predicted))
    assert result["roc_auc"]["value"] == pytest.approx(roc_auc_score(truth, table.p_ai))
    assert result["average_precision"]["value"] == pytest.approx(average_precision_score(truth, table.p_ai))


@pytest.mark.slow
def test_intervals_are_those_of_a_plain_bootstrap_that_draws_rows() -> None:
    """Its resamples are others, so the intervals are about the same."""
    table = scored(150, 100)
    truth, right, p_ai = ((table.label == "AI").to_numpy(), (table.label == table.predicted).to_numpy(), table.p_ai)
    result = score(table, 800)
    rng = np.random.default_rng(7)
    plain = []
    for _ in range(800):
        rows = np.concatenate([rng.choice(group, len(group)) for group in map(np.flatnonzero, (truth, ~truth))])
        plain.append([right[rows].mean(), roc_auc_score(truth[rows], p_ai.to_numpy()[rows])])
    for name, values in zip(("accuracy", "roc_auc"), np.transpose(plain), strict=True):
        theirs = np.quantile(values, [0.025, 0.975])
        assert [result[name]["low"], result[name]["high"]] == pytest.approx(theirs, abs=0.01)


def test_a_faultless_ranking_has_the_interval_of_its_smaller_class() -> None:
    result = score(predictions(("AI", "AI", 30), ("human", "human", 10)))
    for name in ("roc_auc", "average_precision"):
        assert result[name] == {"value": 1.0, "low": pytest.approx(10 / (10 + 1.959964**2)), "high": 1.0}
    assert result["tpr_at_fpr"][0]["tpr"] == result["roc_auc"]
    wrong = score(predictions(("AI", "human", 20), ("human", "AI", 20)))
    assert wrong["roc_auc"] == {"value": 0.0, "low": 0.0, "high": pytest.approx(1.959964**2 / (20 + 1.959964**2))}
    assert score(UNEVEN)["roc_auc"]["high"] > score(UNEVEN)["roc_auc"]["value"]


def test_a_class_that_is_never_predicted_has_precision_zero_and_no_crash() -> None:
    result = score(predictions(("AI", "human", 3), ("human", "human", 3)))
    assert result["classes"]["AI"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "pictures": 3}
    assert result["confusion"] == [[0, 3], [0, 3]]
    assert result["roc_auc"]["value"] == 0.5


def test_every_interval_contains_its_value() -> None:
    for table in (UNEVEN, predictions(("AI", "AI", 3), ("human", "human", 3)), scored(60, 40)):
        result = score(table)
        groups = [row["accuracy"] for row in result["by_generator"] + result["by_style"]]
        rates = [row["tpr"] for row in result["tpr_at_fpr"]]
        decided = [result["unsure"]["share"], result["unsure"]["accuracy_decided"], result["aurc"]]
        calibrated = [result["calibration"][name] for name in ("ece", "brier")]
        for metric in [*groups, *rates, *decided, *calibrated, *(result[name] for name in HEADLINE)]:
            assert 0 <= metric["low"] <= metric["value"] + 1e-12
            assert metric["value"] - 1e-12 <= metric["high"] <= 1


def test_more_pictures_make_narrower_intervals() -> None:
    large = pd.concat([UNEVEN] * 25, ignore_index=True)

    def widths(result: dict) -> list[float]:
        whole = [result[name] for name in HEADLINE]
        metrics = [*whole, *(row["accuracy"] for row in result["by_generator"] + result["by_style"])]
        return [metric["high"] - metric["low"] for metric in metrics]

    for narrow, wide in zip(widths(score(large)), widths(score(UNEVEN)), strict=True):
        assert 0 < narrow < wide / 3


def test_a_group_without_errors_is_not_certain() -> None:
    """Wilson's interval of 3 of 3: from 0.4385, where the normal approximation has none."""
    result = score(predictions(("AI", "AI", 3), ("human", "human", 3)))
    assert result["by_generator"][0]["accuracy"]["low"] == pytest.approx(0.4385, abs=5e-4)
    assert result["by_generator"][0]["accuracy"]["high"] == 1


def test_a_model_that_predicts_one_class_is_not_certain_either() -> None:
    result = score(predictions(("AI", "AI", 20), ("human", "AI", 10)))
    for name in ("accuracy", "balanced_accuracy"):
        assert result[name]["low"] < result[name]["value"] - 0.05
        assert result[name]["high"] > result[name]["value"] + 0.05


@pytest.mark.parametrize("pictures", [7, 48, 96])
def test_a_faultless_ranking_is_not_certain(pictures: int) -> None:
    result = score(predictions(("AI", "AI", pictures), ("human", "human", pictures // 2)))
    for name in ("roc_auc", "average_precision"):
        assert result[name]["low"] < 0.99


def test_groups_have_their_label_size_and_accuracy() -> None:
    table = pd.concat(
        [UNEVEN, predictions(("AI", "AI", 1), ("AI", "human", 1), style="cubism").assign(generator="flux")]
    )
    result = score(table)
    generators = {row["generator"]: row for row in result["by_generator"]}
    assert list(generators) == ["flux", "human", "latent_diffusion"]
    assert generators["latent_diffusion"]["accuracy"]["value"] == pytest.approx(6 / 8)  # its recall
    assert (generators["flux"]["label"], generators["flux"]["pictures"]) == ("AI", 2)
    styles = {row["style"]: row for row in result["by_style"]}
    assert styles["baroque"]["label"] == "AI + human"
    assert styles["cubism"]["label"] == "AI"
    assert styles["cubism"]["mean_p_ai"] == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_metrics_and_another_other_intervals() -> None:
    assert score(UNEVEN) == score(UNEVEN)
    other = score(UNEVEN, seed=1)
    assert other["accuracy"]["value"] == score(UNEVEN)["accuracy"]["value"]
    assert other != score(UNEVEN)


def test_the_order_of_the_rows_changes_no_value() -> None:
    table = scored(60, 40)
    result, shuffled = score(table), score(table.sample(frac=1, random_state=0))
    for name in (*HEADLINE, "aurc"):
        assert result[name]["value"] == pytest.approx(shuffled[name]["value"])
    assert [row["accuracy"] for row in result["risk_coverage"]] == pytest.approx(
        [row["accuracy"] for row in shuffled["risk_coverage"]]
    )


def test_the_metrics_are_json() -> None:
    assert json.loads(json.dumps(score(UNEVEN), allow_nan=False))["pictures"] == 12


def test_nothing_is_sorted_again_for_a_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    sorts = []
    argsort = np.argsort
    monkeypatch.setattr(np, "argsort", lambda *args, **options: sorts.append(1) or argsort(*args, **options))
    counts = []
    for resamples in (10, 1000):
        sorts.clear()
        score(scored(60, 40), resamples)
        counts.append(len(sorts))
    assert 0 < counts[0] == counts[1] < 10
