"""Tables, and which metrics are shown for a run."""

from artdetect.formatting.text import columns, metric_rows


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


REQUIRED = dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc", "average_precision"), estimate(0.9))


def test_optional_metrics_are_shown_if_present() -> None:
    assert [name for name, *_ in metric_rows(REQUIRED)] == [
        "accuracy",
        "balanced accuracy",
        "ROC-AUC",
        "average precision",
    ]
    conditions = [{"name": name, "accuracy": estimate(value)} for name, value in (("clean", 0.95), ("blur", 0.7))]
    rows = metric_rows(
        REQUIRED
        | {
            "unsure": {"share": estimate(0.06), "accuracy_decided": None},
            "tpr_at_fpr": [{"fpr": 0.01, "tpr": estimate(0.8)}],
            "calibration": {"ece": estimate(0.02)},
            "robustness": {"mean_accuracy": estimate(0.85), "rows": conditions},
        }
    )
    assert rows[4:] == [
        ("share unsure", "0.060", "0.050–0.070"),
        ("AI recall at 1% false-positive rate", "0.800", "0.790–0.810"),
        ("calibration error (ECE)", "0.020", "0.010–0.030"),
        ("accuracy on degraded pictures", "0.850", "0.840–0.860"),
        ("… worst condition: blur", "0.700", "0.690–0.710"),
    ]


def test_columns_are_aligned_and_nothing_is_an_empty_table() -> None:
    assert columns([["a", "b"], ["long", ""]]) == "a     b\nlong"
    assert columns([]) == ""
