"""The trained models as a table: what they scored, on which data, and which of them is the champion."""

from collections.abc import Mapping, Sequence
from typing import Any

from artdetect.artifacts import lineage, registry, store
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.store import StoredArtifact
from artdetect.core.errors import ModelError
from artdetect.formatting.text import columns, printable
from artdetect.model.detector import MODEL_FILE, read_card

MARKS = ("champion", "previous")  # the present one, and what a rollback goes to


def table() -> list[dict[str, Any]]:
    """A row a trained model, the newest first, and a champion whose artifact is gone; JSON-able.

    key; preset, trained (ISO, UTC; None where the artifact is gone); fault: why it cannot be used, or None; evaluation:
    its newest, None or key, pictures (tested on), data (the balance's key, None where that is gone), accuracy and
    roc_auc (value, low, high); mark: of `MARKS` or None; why, by, at: of the last time it became the champion, or None.
    """
    history = registry.history()
    marked = dict(zip((entry.train for entry in registry.active_promotions(history)[::-1]), MARKS, strict=False))
    moved = {entry.train: entry for entry in history}
    made = store.stored("train")
    evaluated = {built.inputs.get("train"): built for built in store.stored("evaluate")}
    rows = [_row(built, evaluated.get(built.record["digest"])) for built in reversed(made)]
    known = {row["key"] for row in rows}
    gone = {"preset": None, "trained": None, "evaluation": None}
    rows += [
        {"key": key, **gone, "fault": store.verify("train", key) or "unreadable"} for key in marked if key not in known
    ]
    return [row | {"mark": marked.get(row["key"])} | _moved(moved.get(row["key"])) for row in rows]


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table for a terminal."""
    lines = [["", "model", "preset", "trained", "accuracy", "ROC-AUC", "tested on", "why"]]
    for row in rows:
        scores = row["evaluation"]
        shown = [_interval(scores[name]) for name in ("accuracy", "roc_auc")] if scores else ["", ""]
        on = f"{scores['pictures']:,} pictures of balance {scores['data'] or 'gone'}" if scores else "not evaluated"
        trained = (row["trained"] or "")[:16].replace("T", " ")
        why = row["fault"] or row["why"] or ""
        lines.append([row["mark"] or "", row["key"], row["preset"] or "", trained, *shown, on, printable(why)])
    return columns(lines)


def _row(built: StoredArtifact, evaluation: StoredArtifact | None) -> dict[str, Any]:
    preset = fault = None
    try:
        preset = read_card(built.folder / MODEL_FILE)["preset"]
    except ModelError:
        fault = store.verify("train", built.folder.name) or f"{MODEL_FILE}: not a model"
    return {
        "key": built.folder.name,
        "preset": preset,
        "trained": built.record["started"],
        "fault": fault,
        "evaluation": evaluation and _scores(evaluation),
    }


def _scores(evaluation: StoredArtifact) -> dict[str, Any] | None:
    metrics = evaluation.record.get("metrics", {})
    if not metrics.keys() >= {"pictures", "accuracy", "roc_auc"}:
        return None
    data = lineage.lineage(evaluation.folder).get("balance")
    return {
        "key": evaluation.folder.name,
        "pictures": metrics["pictures"],
        "data": data and data.folder.name,
        "accuracy": metrics["accuracy"],
        "roc_auc": metrics["roc_auc"],
    }


def _moved(entry: Promotion | None) -> dict[str, str | None]:
    return {"why": entry.why, "by": entry.by, "at": entry.at} if entry else dict.fromkeys(("why", "by", "at"))


def _interval(score: Mapping[str, float]) -> str:
    return f"{score['value']:.3f} ({score['low']:.3f}–{score['high']:.3f})"
