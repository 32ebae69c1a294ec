"""What a model is worth on art from sources that it does not know, measured on pictures of held-out sources.

The head that judges a picture was fitted without its source and its generator. The calibration and the decision rule
that turn its logit into a verdict were fitted without its fold. So nothing that is measured here was fitted to it.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.model.decision import UNSURE
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.pictures.source_folds import MIN_SOURCES, SourceFolds
from artdetect.stats.confidence_intervals import share_interval
from artdetect.stats.verdict_measures import verdict_measures
from artdetect.train import calibration
from artdetect.train.calibration import Abstention, FalsePositiveRate, HeldOutPredictions

if TYPE_CHECKING:
    import pandas as pd

MIN_FIRM = 5  # verdicts about a source, from which on it counts as one whose verdicts hold or not
HELD = 0.9  # share of a source's verdicts that must be right for its verdicts to hold
SEED = 129


@dataclass(frozen=True)
class OutOfSource:
    """What pictures of held-out sources are called.

    Args:
        table: A row per picture: sha256, label, source, generator, group (`SourceFolds.groups`), fold, weight, p_ai,
            verdict, reason and, where there is one, novelty.
        sources: How many groups of sources each class has, by its name.
    """

    table: "pd.DataFrame"
    sources: dict[str, int]

    @property
    def enough(self) -> bool:
        """Whether each class has so many sources that leaving some out says something about others."""
        return _are_enough(self.sources)


def _are_enough(sources: dict[str, int]) -> bool:
    return min(sources.values()) >= MIN_SOURCES


def abstention(abstain: Abstention, enough_sources: bool) -> Abstention:
    """The setting to fit a decision rule with: half the errors are allowed where nothing is known about other art."""
    if enough_sources:
        return abstain
    return abstain.model_copy(update={"min_accuracy": (1 + abstain.min_accuracy) / 2})


def cross_calibrated(
    train: "pd.DataFrame",
    folds: SourceFolds,
    predictions: HeldOutPredictions,
    threshold: float | FalsePositiveRate,
    abstain: Abstention,
) -> OutOfSource:
    """The verdicts of the clean view, each with a calibration and a rule fitted on the other folds.

    Args:
        train: The N pictures of `folds` and `predictions`, with columns sha256, label, source and generator.
        folds: Their folds.
        predictions: Predictions of heads that know neither their sources nor their generators.
        threshold: See `calibration.fit_decision_rule`.
        abstain: Likewise.
    """
    n = len(train)
    sources = {name: len(set(folds.groups[predictions.classes == number])) for number, name in enumerate(CLASSES)}
    abstain = abstention(abstain, _are_enough(sources))
    p_ai, verdicts, reasons = np.full(n, np.nan), np.full(n, UNSURE, object), np.full(n, "", object)
    for fold in folds.numbers:
        inside = folds.folds == fold
        others = _part(predictions, ~inside)
        if not inside.any() or len(set(others.classes)) < len(CLASSES):
            continue
        fitted = calibration.fit_calibration(others)
        rule = calibration.fit_decision_rule(others, fitted, threshold, abstain)
        p_ai[inside] = fitted(predictions.logits[0, inside])
        novelty = None if predictions.novelty is None else predictions.novelty[0, inside]
        reasons[inside] = rule.reasons(p_ai[inside], novelty)
        verdicts[inside] = rule.verdicts(p_ai[inside], reasons[inside])
    table = train[["sha256", "label", "source", "generator"]].assign(
        group=folds.groups,
        fold=folds.folds,
        weight=predictions.weights,
        p_ai=p_ai,
        verdict=verdicts,
        reason=reasons,
    )
    if predictions.novelty is not None:
        table["novelty"] = predictions.novelty[0]
    return OutOfSource(table[np.isfinite(p_ai)].reset_index(drop=True), sources)


def _part(predictions: HeldOutPredictions, rows: np.ndarray) -> HeldOutPredictions:
    return replace(
        predictions,
        logits=predictions.logits[:, rows],
        classes=predictions.classes[rows],
        weights=predictions.weights[rows],
        novelty=None if predictions.novelty is None else predictions.novelty[:, rows],
    )


def summary(found: OutOfSource) -> dict[str, Any] | None:
    """The measures of these verdicts, for metrics.json; None if a class has none.

    Returns:
        pictures; sources; enough_sources, see `OutOfSource.enough`; the measures of `verdict_measures` with intervals
        over sources; over_pictures, the same with intervals over pictures; by_source, a row per class and group: label,
        source, pictures, accuracy, firm, right (of the firm ones), mean_p_ai; held, the share of the groups with at
        least `MIN_FIRM` verdicts of which `HELD` are right; judged_sources, how many groups those are; min_firm and
        held_from, these two constants; worst, the row of the group with the smallest such share.
    """
    table = found.table
    truth = (table.label == CLASSES[AI]).to_numpy()
    if not truth.any() or truth.all():
        return None
    arguments = truth, table.p_ai.to_numpy(), table.verdict.to_numpy(), table.weight.to_numpy()
    rows = _by_source(table)
    judged = [row for row in rows if row["firm"] >= MIN_FIRM]
    held = sum(row["right"] >= HELD * row["firm"] for row in judged)
    return {
        "pictures": len(table),
        "sources": found.sources,
        "enough_sources": found.enough,
        **verdict_measures(*arguments, table.group.to_numpy(str), SEED),
        "over_pictures": verdict_measures(*arguments, np.arange(len(table)), SEED),
        "by_source": rows,
        "held": share_interval(held, len(judged)) if judged else None,
        "judged_sources": len(judged),
        "min_firm": MIN_FIRM,
        "held_from": HELD,
        "worst": min(judged, key=lambda row: row["right"] / row["firm"]) if judged else None,
    }


def _by_source(table: "pd.DataFrame") -> list[dict[str, Any]]:
    rows = []
    for (label, group), part in table.groupby(["label", "group"], observed=True):
        predicted = np.where(part.p_ai >= 0.5, CLASSES[AI], CLASSES[HUMAN])
        firm = part.verdict != UNSURE
        rows.append(
            {
                "label": str(label),
                "source": str(group),
                "pictures": len(part),
                "accuracy": share_interval(int((predicted == label).sum()), len(part)),
                "firm": int(firm.sum()),
                "right": int((part.verdict == label).sum()),
                "mean_p_ai": float(part.p_ai.mean()),
            }
        )
    return rows
