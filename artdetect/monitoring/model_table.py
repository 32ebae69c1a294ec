"""The trained models as a table: their scores, the data these were measured on, and which model is the champion.

Models stand by age, not by score: scores of different pictures are not comparable.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from artdetect.artifacts import lineage, registry, store
from artdetect.artifacts.lineage import Lineage
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.store import StoredArtifact
from artdetect.core.errors import ModelError
from artdetect.formatting import other_art
from artdetect.formatting.text import columns, printable
from artdetect.model.detector import MODEL_FILE, read_card

OTHER_ART = ("firm", "right_ai", "right_human", "roc_auc")  # measures of art from other sources that are shown
MARKS = ("champion", "previous")  # the current champion, and the one that a rollback returns to


def table() -> list[dict[str, Any]]:
    """One row per trained model, newest first, and one per champion whose artifact is gone.

    Returns:
        Rows of JSON values:
        `key`; `preset` and `trained` (ISO 8601, UTC), None if the artifact is gone;
        `fault`: why the model cannot be used, or None;
        `other_art`: None where nothing is known about art from other sources, or how the model did there: pictures,
        sources, data (key of the balance it was trained on, None if that is gone) and the measures `OTHER_ART` (value,
        low, high, or None);
        `evaluation`: None, or its newest one: key, pictures (number tested), data (key of the balance, None if that is
        gone), accuracy and roc_auc (value, low, high);
        `mark`: one of `MARKS` or None;
        `why`, `by`, `at`: how it last became the champion, or None.
    """
    history = registry.history()
    active = registry.active_promotions(history)
    marks = dict(zip((promotion.train for promotion in reversed(active)), MARKS, strict=False))
    promotions = {promotion.train: promotion for promotion in history}
    evaluations = {evaluation.inputs.get("train"): evaluation for evaluation in store.stored("evaluate")}
    sources = lineage.read()
    rows = [_row(model, evaluations.get(model.digest), sources) for model in reversed(store.stored("train"))]
    known = {row["key"] for row in rows}
    gone = {"preset": None, "trained": None, "other_art": None, "evaluation": None}
    rows += [
        {"key": key, **gone, "fault": store.verify("train", key) or "unreadable"} for key in marks if key not in known
    ]
    return [row | {"mark": marks.get(row["key"])} | _promotion(promotions.get(row["key"])) for row in rows]


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table for a terminal."""
    names = ["verdicts on other art", "AI right", "human right", "ROC-AUC there"]
    lines = [["", "model", "preset", "trained", *names, "test accuracy", "ROC-AUC", "tested on", "why"]]
    for row in rows:
        scores = row["evaluation"]
        intervals = [_interval(scores[name]) for name in ("accuracy", "roc_auc")] if scores else ["", ""]
        data = f"{scores['pictures']:,} pictures of balance {scores['data'] or 'gone'}" if scores else "not evaluated"
        others = row["other_art"]
        known = [_score(others[name]) for name in OTHER_ART] if others else ["not known", "", "", ""]
        trained = (row["trained"] or "")[:16].replace("T", " ")
        why = row["fault"] or row["why"] or ""
        lines.append(
            [row["mark"] or "", row["key"], row["preset"] or "", trained, *known, *intervals, data, printable(why)]
        )
    return columns(lines)


def _row(model: StoredArtifact, evaluation: StoredArtifact | None, sources: Lineage) -> dict[str, Any]:
    preset = fault = None
    try:
        preset = read_card(model.folder / MODEL_FILE)["preset"]
    except ModelError:
        fault = store.verify("train", model.folder.name) or f"{MODEL_FILE}: not a model"
    return {
        "key": model.folder.name,
        "preset": preset,
        "trained": model.record["started"],
        "fault": fault,
        "other_art": _other_art(model, sources),
        "evaluation": evaluation and _scores(evaluation, sources),
    }


def _other_art(model: StoredArtifact, sources: Lineage) -> dict[str, Any] | None:
    found = other_art.measured(model.record.get("metrics", {}))
    if found is None:
        return None
    balance = sources.ancestors(model).get("balance")
    counts = {"pictures": found["pictures"], "sources": sum(found["sources"].values())}
    return counts | {"data": balance and balance.folder.name} | {name: found[name] for name in OTHER_ART}


def _scores(evaluation: StoredArtifact, sources: Lineage) -> dict[str, Any] | None:
    metrics = evaluation.record.get("metrics", {})
    if not metrics.keys() >= {"pictures", "accuracy", "roc_auc"}:
        return None
    balance = sources.ancestors(evaluation).get("balance")
    return {
        "key": evaluation.folder.name,
        "pictures": metrics["pictures"],
        "data": balance and balance.folder.name,
        "accuracy": metrics["accuracy"],
        "roc_auc": metrics["roc_auc"],
    }


def _promotion(promotion: Promotion | None) -> dict[str, str | None]:
    return {name: getattr(promotion, name, None) for name in ("why", "by", "at")}


def _score(score: Mapping[str, float] | None) -> str:
    return _interval(score) if score else "none"


def _interval(score: Mapping[str, float]) -> str:
    return f"{score['value']:.3f} ({score['low']:.3f}–{score['high']:.3f})"
