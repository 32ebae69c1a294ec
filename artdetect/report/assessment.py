"""How far the model can be trusted, as plain values: confidence, robustness, baselines, weak spots.

Each function returns None if the artifacts lack the numbers, because a check was off or does not apply to the model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.model.decision import VERDICTS, DecisionRule
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import pandas as pd

Metrics = Mapping[str, Any]  # the content of evaluate's metrics.json
NEAR_MODEL = 0.8  # share of the model's ROC-AUC above chance; a baseline that reaches it is near the model


def confidence(metrics: Metrics, rule: DecisionRule, predictions: "pd.DataFrame") -> dict[str, Any] | None:
    """The decision rule, the verdicts it gave, and how well the probabilities are calibrated.

    Args:
        metrics: the evaluation's metrics.
        rule: the model's decision rule.
        predictions: one row per test picture, with the columns label and verdict.
    """
    if not {"unsure", "calibration", "risk_coverage", "tpr_at_fpr"} <= metrics.keys():
        return None
    unsure, calibration = metrics["unsure"], metrics["calibration"]
    counts = predictions.groupby(["label", "verdict"]).size()
    accuracy = unsure["accuracy_decided"]
    return {
        "rule": rule,
        "band": rule.band(),
        "verdicts": [(label, [int(counts.get((label, verdict), 0)) for verdict in VERDICTS]) for label in CLASSES],
        "unsure": unsure,
        "operating_point": accuracy and (1 - unsure["share"]["value"], accuracy["value"]),
        "bins": calibration["bins"],
        "scores": {name: calibration[name] for name in ("ece", "brier", "log_loss")} | {"aurc": metrics["aurc"]},
        "risk_coverage": metrics["risk_coverage"],
        "tpr_at_fpr": metrics["tpr_at_fpr"],
    }


def robustness(metrics: Metrics) -> dict[str, Any] | None:
    """The accuracy on degraded pictures by condition, its mean, and the worst condition."""
    if not (table := metrics.get("robustness")):
        return None
    rows = [row for row in table["rows"] if row["name"] != "clean"]
    return {
        "pictures": table["pictures"],
        "clean": table["clean_accuracy"],
        "mean": table["mean_accuracy"],
        "rows": rows,
        "worst": min(rows, key=lambda row: row["accuracy"]["value"]),
    }


def unseen_generators(left_out: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The generators that were left out of training, one at a time, sorted by recall."""
    if not left_out:
        return None
    rows = sorted(left_out, key=lambda row: row["recall"]["value"])
    return {"rows": rows, "worst": rows[0]}


def baselines(metrics: Metrics) -> dict[str, Any] | None:
    """The model and the baselines; `level` of a baseline is "near_model", "above_chance" or "near_chance"."""
    if not (table := metrics.get("baselines")):
        return None
    shown = ("accuracy", "balanced_accuracy", "roc_auc")
    near = 0.5 + NEAR_MODEL * (metrics["roc_auc"]["value"] - 0.5)
    rows = [
        row | {"level": "near_model" if auc["value"] >= near else "above_chance" if auc["low"] > 0.5 else "near_chance"}
        for row in table
        for auc in (row["roc_auc"],)
    ]
    return {"model": {name: metrics[name] for name in shown}, "rows": rows}


def weak_slices(metrics: Metrics) -> dict[str, Any] | None:
    """The subgroups with a lower accuracy than chance explains, and how many subgroups were tested."""
    if "slices" not in metrics:
        return None
    return {"slices": metrics["slices"], "tested": metrics["slices_tried"]}


def generator_attribution(metrics: Metrics) -> dict[str, Any] | None:
    """A confusion matrix of generators: one row per true generator, one column per predicted family."""
    if not (table := metrics.get("generator_attribution")):
        return None
    others = {name for row in table["rows"] for name in row["predicted"]} - {*table["families"]}
    columns = [*table["families"], *sorted(others)]
    rows = [row | {"cells": [(name, row["predicted"].get(name, 0)) for name in columns]} for row in table["rows"]]
    return {"columns": columns, "rows": rows, "accuracy": table["accuracy"]}


def worst_errors(metrics: Metrics, sheet: Path) -> dict[str, Any] | None:
    """The most confident errors with their nearest training pictures, and the contact sheet if there is one."""
    if not (rows := metrics.get("worst_errors")):
        return None
    return {"rows": rows, "sheet": sheet if sheet.is_file() else None}
