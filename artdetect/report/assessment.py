"""What a sceptic asks of the model, as plain values: how sure it is, what wears it down, what would do as well.

Each is None where the artifacts do not say, because a check was off or does not fit the model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.model.decision import VERDICTS, DecisionRule
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import pandas as pd

Metrics = Mapping[str, Any]
NEAR = 0.8  # of the model's ROC-AUC above chance: a baseline that has it comes near


def confidence(metrics: Metrics, rule: DecisionRule, predictions: "pd.DataFrame") -> dict[str, Any] | None:
    """The rule, what its verdicts were, and how far the probabilities can be believed."""
    if not {"unsure", "calibration", "risk_coverage", "tpr_at_fpr"} <= metrics.keys():
        return None
    unsure, calibration = metrics["unsure"], metrics["calibration"]
    counts = predictions.groupby(["label", "verdict"]).size()
    right = unsure["accuracy_decided"]
    return {
        "rule": rule,
        "band": rule.band(),
        "verdicts": [(label, [int(counts.get((label, verdict), 0)) for verdict in VERDICTS]) for label in CLASSES],
        "unsure": unsure,
        "decided": right and (1 - unsure["share"]["value"], right["value"]),
        "bins": calibration["bins"],
        "scores": {name: calibration[name] for name in ("ece", "brier", "log_loss")} | {"aurc": metrics["aurc"]},
        "coverage": metrics["risk_coverage"],
        "tpr": metrics["tpr_at_fpr"],
    }


def robustness(metrics: Metrics) -> dict[str, Any] | None:
    """What is left of the accuracy when pictures are degraded, and where least is."""
    if not (found := metrics.get("robustness")):
        return None
    rows = [row for row in found["rows"] if row["name"] != "clean"]
    return {
        "pictures": found["pictures"],
        "clean": found["clean_accuracy"],
        "mean": found["mean_accuracy"],
        "rows": rows,
        "worst": min(rows, key=lambda row: row["accuracy"]["value"]),
    }


def unseen_generators(left_out: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Each generator left out of training once, the one that is found least first."""
    if not left_out:
        return None
    rows = sorted(left_out, key=lambda row: row["recall"]["value"])
    return {"rows": rows, "worst": rows[0]}


def baselines(metrics: Metrics) -> dict[str, Any] | None:
    """The model beside what never sees a shape; `level` says whether that comes near it, beats chance, or neither."""
    if not (found := metrics.get("baselines")):
        return None
    shown = ("accuracy", "balanced_accuracy", "roc_auc")
    near = 0.5 + NEAR * (metrics["roc_auc"]["value"] - 0.5)
    rows = [
        row | {"level": "near" if auc["value"] >= near else "some" if auc["low"] > 0.5 else "little"}
        for row in found
        for auc in (row["roc_auc"],)
    ]
    return {"model": {name: metrics[name] for name in shown}, "rows": rows}


def weak_slices(metrics: Metrics) -> dict[str, Any] | None:
    """Groups of pictures on which it does worse than elsewhere, and among how many they were looked for."""
    if "slices" not in metrics:
        return None
    return {"slices": metrics["slices"], "tried": metrics["slices_tried"]}


def attribution(metrics: Metrics) -> dict[str, Any] | None:
    """Whom AI pictures were ascribed to: a row a generator, a column a family."""
    if not (found := metrics.get("attribution")):
        return None
    others = {name for row in found["rows"] for name in row["called"]} - {*found["families"]}
    columns = [*found["families"], *sorted(others)]
    rows = [row | {"cells": [(name, row["called"].get(name, 0)) for name in columns]} for row in found["rows"]]
    return {"columns": columns, "rows": rows, "accuracy": found["accuracy"]}


def worst_errors(metrics: Metrics, sheet: Path) -> dict[str, Any] | None:
    """The surest mistakes with what training held that is like them, and where they can be seen."""
    if not (rows := metrics.get("mistakes")):
        return None
    return {"rows": rows, "sheet": sheet if sheet.is_file() else None}
