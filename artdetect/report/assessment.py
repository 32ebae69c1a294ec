"""How far the model can be trusted, as plain values: art from other sources, confidence, robustness, weak spots.

Each function but `other_art` returns None if the artifacts lack the numbers, because a check was off or does not apply.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from artdetect.formatting import other_art as in_words
from artdetect.model.decision import VERDICTS, DecisionRule
from artdetect.pictures.labels import CLASSES
from artdetect.report.filters import probability
from artdetect.stats.confidence_intervals import share_interval

if TYPE_CHECKING:
    import pandas as pd

Metrics = Mapping[str, Any]  # the content of evaluate's metrics.json
NEAR_MODEL = 0.8  # share of the model's ROC-AUC above chance; a baseline that reaches it is near the model


def other_art(training: Metrics, metrics: Metrics, abstain: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known about art from other sources, beside what the same measures say within the data set.

    Args:
        training: the training's metrics; of a model from elsewhere, the evaluation's.
        metrics: the evaluation's metrics.
        abstain: the setting `train.abstain`, where it is recorded.

    Returns:
        sentences and unknown, see `formatting.other_art`; columns, the sets of pictures with name, pictures and over,
        what their intervals are over; rows, the measures with name, key and a cell for each column, None where there is
        no such number; sources, the rows of by_source with the interval of right_share, fewest right first; bounds of
        p(AI); promise, see `formatting.other_art`, None where the setting is not recorded.
    """
    measured = training.get("out_of_source")
    columns: list[dict[str, Any]] = []
    cells: list[Metrics] = []
    sources: list[dict[str, Any]] = []
    if measured:
        over = f"{sum(measured['sources'].values()):,} sources"
        columns.append({"name": "sources left out", "pictures": measured["pictures"], "over": over})
        cells.append(measured)
        sources = [
            row | {"right_share": share_interval(row["right"], row["firm"]) if row["firm"] else None}
            for row in measured["by_source"]
        ]
        sources.sort(key=lambda row: _rank(row, measured["min_firm"]))
    for name, part in (("validation", training.get("in_source")), ("test", metrics["verdicts"])):
        if part:
            columns.append({"name": name, "pictures": part["pictures"], "over": "pictures"})
            cells.append(part)
    return {
        "sentences": in_words.sentences(training),
        "unknown": in_words.unknown(training),
        "measured": measured,
        "columns": columns,
        "rows": [
            {"key": key, "name": name, "cells": [part[key] and in_words.cells(key, part[key]) for part in cells]}
            for key, name in in_words.MEASURES.items()
        ],
        "sources": sources,
        "bounds": _bounds(training),
        "promise": in_words.promise(training, abstain) if abstain else None,
    }


def _bounds(training: Metrics) -> tuple[float, float]:
    """The lowest and the highest p(AI) that a model gives; of one from elsewhere, 0 and 1."""
    calibration = training["calibration"]
    return calibration.get("p_min", 0.0), calibration.get("p_max", 1.0)


def _rank(row: Mapping[str, Any], min_firm: int) -> tuple[bool, float, int]:
    """The smallest share of right verdicts first; sources with fewer verdicts than `min_firm` last."""
    share = row["right_share"]["value"] if row["right_share"] else 1.0
    return row["firm"] < min_firm, share, -row["pictures"]


def confidence(
    training: Metrics, metrics: Metrics, rule: DecisionRule, predictions: "pd.DataFrame"
) -> dict[str, Any] | None:
    """The decision rule, the verdicts it gave, and how well the probabilities are calibrated.

    Args:
        training: the training's metrics.
        metrics: the evaluation's metrics.
        rule: the model's decision rule.
        predictions: one row per test picture, with the columns label and verdict.
    """
    if not {"unsure", "calibration", "risk_coverage", "tpr_at_fpr", "verdicts"} <= metrics.keys():
        return None
    unsure, calibration = metrics["unsure"], metrics["calibration"]
    counts = predictions.groupby(["label", "verdict"]).size()
    accuracy = unsure["accuracy_decided"]
    return {
        "decision": _decision(rule, *_bounds(training)),
        "band": rule.band(),
        "verdicts": [(label, [int(counts.get((label, verdict), 0)) for verdict in VERDICTS]) for label in CLASSES],
        "unsure": unsure,
        "reasons": {reason: count for reason, count in metrics["verdicts"]["reasons"].items() if count},
        "operating_point": accuracy and (1 - unsure["share"]["value"], accuracy["value"]),
        "bins": calibration["bins"],
        "scores": {name: calibration[name] for name in ("ece", "brier", "log_loss")} | {"aurc": metrics["aurc"]},
        "risk_coverage": metrics["risk_coverage"],
        "tpr_at_fpr": metrics["tpr_at_fpr"],
    }


def _decision(rule: DecisionRule, p_min: float, p_max: float) -> str:
    """How p(AI), which stays between the bounds, becomes a verdict."""
    low, high = rule.band()
    never = "It never says {}: no p(AI) is {} enough for it."
    parts = [
        f"The verdict is AI if p(AI) is at least {probability(high)}." if high <= p_max else never.format("AI", "high"),
        f"It is human if p(AI) is below {probability(low)}." if low > p_min else never.format("human", "low"),
    ]
    if low < high:
        parts.append("Otherwise it is unsure, and a person has to decide.")
    if rule.novelty is not None:
        parts.append("A picture that is unlike the training art is unsure, whatever its p(AI).")
    if rule.min_side or rule.min_contrast:
        parts.append(f"So is a picture of one colour, or with a side below {rule.min_side} pixels.")
    return " ".join(parts)


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


def baselines(metrics: Metrics, training: Metrics) -> dict[str, Any] | None:
    """The model and the baselines; `level` of a baseline is "near_model", "above_chance" or "near_chance".

    Their entry out_of_source is None where nothing is known about art from other sources.
    """
    if not (table := metrics.get("baselines")):
        return None
    shown = ("accuracy", "balanced_accuracy", "roc_auc")
    others = in_words.measured(training)
    if others is None:
        table = [row | {"out_of_source": None} for row in table]
    near = 0.5 + NEAR_MODEL * (metrics["roc_auc"]["value"] - 0.5)
    rows = [
        row | {"level": "near_model" if auc["value"] >= near else "above_chance" if auc["low"] > 0.5 else "near_chance"}
        for row in table
        for auc in (row["roc_auc"],)
    ]
    return {"model": {name: metrics[name] for name in shown}, "out_of_source": others, "rows": rows}


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
    return {"families": table["families"], "columns": columns, "rows": rows, "accuracy": table["accuracy"]}
