"""A run in a few lines: which metrics are shown, and that text from files stays text."""

from artdetect.formatting.text import escape_markdown, metric_rows


def about(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


WHOLE = dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc", "average_precision"), about(0.9))


def test_doubts_and_trials_are_shown_as_far_as_they_are_there() -> None:
    assert [name for name, *_ in metric_rows(WHOLE)] == [
        "accuracy",
        "balanced accuracy",
        "ROC-AUC",
        "average precision",
    ]
    conditions = [{"name": name, "accuracy": about(value)} for name, value in (("clean", 0.95), ("blur", 0.7))]
    rows = metric_rows(
        WHOLE
        | {
            "unsure": {"share": about(0.06), "accuracy_decided": None},
            "tpr_at_fpr": [{"fpr": 0.01, "tpr": about(0.8)}],
            "calibration": {"ece": about(0.02)},
            "robustness": {"mean_accuracy": about(0.85), "rows": conditions},
        }
    )
    assert rows[4:] == [
        ("left unsure", "0.060", "0.050 – 0.070"),
        ("AI found at 1% false accusations", "0.800", "0.790 – 0.810"),
        ("calibration error (ECE)", "0.020", "0.010 – 0.030"),
        ("accuracy, degraded pictures", "0.850", "0.840 – 0.860"),
        ("… the worst, blur", "0.700", "0.690 – 0.710"),
    ]


def test_markdown_is_text_in_a_cell() -> None:
    assert escape_markdown("a|b\n<i>*") == "a&#124;b\\\\n&lt;i&gt;\\*"
