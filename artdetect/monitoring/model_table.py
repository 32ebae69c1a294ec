"""The trained models as a table: their scores, the data these were measured on, and which model is the champion.

Models stand by age, not by score: scores of different pictures are not comparable.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from artdetect import download
from artdetect.artifacts import file_names, lineage, registry, run_ledger, store
from artdetect.artifacts.lineage import Lineage
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.store import StoredArtifact
from artdetect.core.errors import ArtifactError, ModelError
from artdetect.formatting import other_art
from artdetect.formatting.intervals import estimate
from artdetect.formatting.text import columns, printable
from artdetect.model import choice
from artdetect.model.card import is_demonstration, read_card
from artdetect.pictures.labels import CLASSES

SCORES = ("pictures", "accuracy", "roc_auc")
OTHER_ART = ("firm", "right_ai", "right_human", "roc_auc")  # measures of art from other sources that are shown
OWN_DATA = "its own data sets"  # on which the starter was tested
MARKS = ("champion", "previous")  # the current champion, and the one that a rollback returns to


def table() -> list[dict[str, Any]]:
    """One row per trained model, newest first, one per champion whose artifact is gone, and one for the starter.

    Returns:
        Rows of JSON values:
        `key`, or "starter"; `preset` and `trained` (ISO 8601, UTC), None if the artifact is gone;
        `fault`: why the model cannot be used, or None;
        `other_art`: None where nothing is known about art from other sources, or how the model did there: pictures,
        sources, data (key of the balance it was trained on, None if that is gone) and the measures `OTHER_ART` (value,
        low, high, or None);
        `evaluation`: None, or its newest one: key (None for the starter), pictures (number tested), data (key of the
        balance, None if that is gone, `OWN_DATA` for the starter), data_set (its data set's name, None if no run is
        known that used both), accuracy and roc_auc (value, low, high);
        `demonstration`: whether its data set is there for trying the software;
        `notice`: what the data set says of itself;
        `mark`: one of `MARKS` or None;
        `why`, `by`, `at`: how it last became the champion, or None.
    """
    history = registry.history()
    active = registry.active_promotions(history)
    marks = dict(zip((promotion.train for promotion in reversed(active)), MARKS, strict=False))
    promotions = {promotion.train: promotion for promotion in history}
    evaluations = {evaluation.inputs.get("train"): evaluation for evaluation in store.stored("evaluate")}
    sources, names = lineage.read(), _data_set_names()
    rows = [_row(model, evaluations.get(model.digest), sources, names) for model in reversed(store.stored("train"))]
    known = {row["key"] for row in rows}
    gone = {
        "preset": None,
        "trained": None,
        "other_art": None,
        "evaluation": None,
        "demonstration": False,
        "notice": "",
    }
    rows += [
        {"key": key, **gone, "fault": store.verify("train", key) or "unreadable"} for key in marks if key not in known
    ]
    for row in rows:
        if row["key"] in marks and row["fault"] is None:
            row["fault"] = registry.fault(promotions[row["key"]])
    rows = [row | {"mark": marks.get(row["key"])} | _promotion(promotions.get(row["key"])) for row in rows]
    return [*rows, *_starter()]


def tests() -> list[dict[str, Any]]:
    """One row per evaluation that is on disk, oldest first; a model may have several.

    Returns:
        Rows of JSON values: `train` (key of the model, None if it is gone), `at` (start of the evaluation, ISO 8601,
        UTC), and what `evaluation` has in `table`.
    """
    sources, names = lineage.read(), _data_set_names()
    rows = []
    for evaluation in store.stored("evaluate"):
        if scores := _scores(evaluation, sources, names):
            model = sources.sources(evaluation.inputs, evaluation.record["started"]).get("train")
            rows.append({"train": model and model.folder.name, "at": evaluation.record["started"], **scores})
    return rows


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table for a terminal, and below it what the models' data sets say of themselves."""
    names = ["ROC-AUC on other art", "verdicts there", "test accuracy", "ROC-AUC"]
    lines = [["", "model", "preset", "trained", *names, "tested on", "why"]]
    for row in rows:
        scores = row["evaluation"]
        intervals = [estimate(scores[name]) for name in ("accuracy", "roc_auc")] if scores else ["", ""]
        data = _tested_on(scores) if scores else "not evaluated"
        others = row["other_art"]
        known = [estimate(others["roc_auc"]), _verdicts(others)] if others else ["not known", ""]
        trained = (row["trained"] or "")[:16].replace("T", " ")
        why = row["fault"] or row["why"] or ("demonstration" if row["demonstration"] else "")
        lines.append([row["mark"] or "", row["key"], row["preset"] or "", trained, *known, *intervals, data, why])
    notices: dict[str, list[str]] = {}
    for row in rows:
        if row["notice"]:
            notices.setdefault(row["notice"], []).append(row["key"])
    said = [
        f"Training data of {', '.join(keys)}: {printable(' '.join(text.split()))}" for text, keys in notices.items()
    ]
    tested = {row["evaluation"]["data"] for row in rows if row["evaluation"]}
    if len(tested) > 1:
        said.insert(0, "Scores say nothing about which model is better where they were tested on different pictures.")
    return "\n\n".join([columns(lines), *said])


def _starter() -> Iterator[dict[str, Any]]:
    """The row of the starter, if there is one. It was tested on test pictures of its own data sets."""
    if not choice.STARTER_FILE.is_file():
        return
    row: dict[str, Any] = {"key": str(choice.STARTER), "trained": None, "other_art": None, "evaluation": None}
    row |= {"mark": None} | _promotion(None) | {"why": "comes with artdetect"}
    try:
        card = read_card(choice.STARTER_FILE)
    except ModelError as error:
        yield row | {"preset": None, "fault": str(error), "demonstration": False, "notice": ""}
        return
    made = card.get("starter", {})
    row["other_art"] = _other_art(made, OWN_DATA)
    tested = made.get("test", {})
    if tested.keys() >= set(SCORES):
        row["evaluation"] = {
            "key": None,
            "data": OWN_DATA,
            "data_set": None,
            **{name: tested[name] for name in SCORES},
        }
    yield row | {"preset": card["preset"], "fault": None} | _said(card)


def _said(card: Mapping[str, Any]) -> dict[str, Any]:
    return {"demonstration": is_demonstration(card), "notice": str(card.get("notice", ""))}


def _data_set_names() -> dict[str, str]:
    """Key of a balance -> the name of the data set, from the newest run that used both."""
    found = {}
    for run in run_ledger.read():
        keys = {use.stage: use.key for use in run.stages}
        if {"download", "balance"} <= keys.keys():
            with suppress(ArtifactError):  # its record is gone
                found[keys["balance"]] = str(download.dataset(store.place("download", keys["download"])).get("name"))
    return found


def _row(
    model: StoredArtifact, evaluation: StoredArtifact | None, sources: Lineage, names: Mapping[str, str]
) -> dict[str, Any]:
    card: dict[str, Any] = {}
    fault = None
    try:
        card = read_card(model.folder / file_names.MODEL)
    except ModelError:
        fault = store.verify("train", model.folder.name) or f"{file_names.MODEL}: not a model"
    metrics = model.record.get("metrics", {})
    balance = sources.ancestors(model).get("balance")
    return {
        "key": model.folder.name,
        "preset": card.get("preset"),
        "trained": model.record["started"],
        "fault": fault,
        "other_art": _other_art(metrics, balance.folder.name if balance else None),
        "evaluation": evaluation and _scores(evaluation, sources, names),
        **_said(card),
    }


def _other_art(metrics: Mapping[str, Any], data: str | None) -> dict[str, Any] | None:
    found = other_art.measured(metrics)
    if found is None:
        return None
    counts = {"pictures": found["pictures"], "sources": sum(found["sources"].values())}
    return counts | {"data": data} | {name: found[name] for name in OTHER_ART}


def _scores(evaluation: StoredArtifact, sources: Lineage, names: Mapping[str, str]) -> dict[str, Any] | None:
    metrics = evaluation.record.get("metrics", {})
    if not metrics.keys() >= set(SCORES):
        return None
    balance = sources.ancestors(evaluation).get("balance")
    return {
        "key": evaluation.folder.name,
        "data": balance and balance.folder.name,
        "data_set": names.get(balance.folder.name) if balance else None,
        **{name: metrics[name] for name in SCORES},
    }


def _tested_on(scores: Mapping[str, Any]) -> str:
    name = scores["data_set"]
    return f"{scores['pictures']:,} pictures of {f'{printable(name)}, ' if name else ''}{balance_name(scores['data'])}"


def balance_name(key: str | None) -> str:
    """What a table of pictures is called in tables of models, by the `data` of a row's scores."""
    return OWN_DATA if key == OWN_DATA else f"balance {key or 'gone'}"


def _promotion(promotion: Promotion | None) -> dict[str, str | None]:
    return {name: getattr(promotion, name, None) for name in ("why", "by", "at")}


def _verdicts(found: Mapping[str, Any]) -> str:
    """The share of pictures with a verdict, and how many of these are right: "41 %; right: AI 93 %, human 95 %"."""
    right = [f"{label} {100 * score['value']:.0f} %" for label in CLASSES if (score := found[f"right_{label.lower()}"])]
    return f"{100 * found['firm']['value']:.0f} %" + (f"; right: {', '.join(right)}" if right else "")
