"""The values that the page and the model card show, read from the artifacts; no markup, so they are easy to test."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names
from artdetect.core import digests
from artdetect.model.decision import DecisionRule
from artdetect.pictures import notice
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.report import assessment

if TYPE_CHECKING:
    import pandas as pd

WIDE_INTERVAL = 0.3  # a subgroup with a wider interval is marked as uncertain
SHOWN_PER_RULE = 3  # explanations on the page per class and rule; more would make the page too large to send
PRETRAINED = ("artnet", "finetune")  # presets with a pretrained backbone
SPLITS = ("train", "validation", "test", "held_out")


def gather(folders: Mapping[str, Path]) -> dict[str, Any]:
    """Read everything that the page and the card show.

    Args:
        folders: stage -> artifact folder, as in `artdetect.report.run`.
    """
    import pandas as pd

    metrics = _json(folders["evaluate"] / file_names.METRICS)
    predictions = pd.read_parquet(folders["evaluate"] / file_names.PREDICTIONS)
    audit = _json(folders["audit"] / file_names.AUDIT)
    balance = pd.read_parquet(folders["balance"] / file_names.BALANCE)
    audit_sheet = folders["audit"] / file_names.AUDIT_EXAMPLES
    training = _training(folders["train"])
    rule = DecisionRule.from_dict(training["card"].get("rule", {}))
    return {
        "notice": notice.read(folders["index"] / file_names.NOTICE).paragraphs,
        "metrics": metrics,
        "result": _result(metrics),
        "other_art": assessment.other_art(training["metrics"], metrics, training["abstain"]),
        "confidence": assessment.confidence(training["metrics"], metrics, rule, predictions),
        "generators": _groups(metrics, "generator", balance),
        "sources": _groups(metrics, "source", balance),
        "styles": sorted(_subgroups(metrics["by_style"], "style"), key=lambda group: -group["pictures"]),
        "sizes": _subgroups(metrics.get("by_size", []), "size"),
        "robustness": assessment.robustness(metrics),
        "baselines": assessment.baselines(metrics, training["metrics"]),
        "weak_slices": assessment.weak_slices(metrics),
        "generator_attribution": assessment.generator_attribution(metrics),
        "worst_errors": assessment.worst_errors(metrics, folders["evaluate"] / file_names.WORST_ERRORS),
        "explanations": _explanations(folders["explain"]),
        "training": training,
        "audit": audit,
        "audit_sheet": audit_sheet if audit_sheet.is_file() else None,
        "available": _split_table(audit["counts"], ("train", "test")),
        "used": _split_table(_count_by(balance, "label"), ("train", "validation", "test")),
        "used_by_generator": _used_by_generator(balance),
        "weighted": bool((balance.weight != 1).any()),
        "held_out": balance.generator[balance.split == "held_out"].value_counts().sort_index().to_dict(),
        "model": training["model"],
        "stages": _stages(folders),
        "packages": _packages(folders),
    }


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _result(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The counts for the sentence that sums up the test."""
    confusion = metrics["confusion"]
    ai, human = sum(confusion[AI]), sum(confusion[HUMAN])
    return {
        "ai": ai,
        "ai_detected": confusion[AI][AI],
        "human": human,
        "human_as_ai": confusion[HUMAN][AI],
        "prevalence": ai / metrics["pictures"],
        "errors": confusion[AI][HUMAN] + confusion[HUMAN][AI],
    }


def _groups(metrics: Mapping[str, Any], column: str, balance: "pd.DataFrame") -> list[dict[str, Any]]:
    """The test results by generator or source; `unseen` if no picture of it was in the training data."""
    trained = set(balance[column][balance.split == "train"])
    groups = _subgroups(metrics[f"by_{column}"], column)
    return sorted((row | {"unseen": row["name"] not in trained} for row in groups), key=lambda row: row["label"])


def _subgroups(groups: list[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    """The groups with a name, and whether their interval is too wide to say much."""
    rows = []
    for group in groups:
        uncertain = group["accuracy"]["high"] - group["accuracy"]["low"] > WIDE_INTERVAL
        rows.append(group | {"name": group[column], "uncertain": uncertain, "unseen": False})
    return rows


def _explanations(folder: Path) -> dict[str, Any]:
    """How many pictures were explained, which are shown (`SHOWN_PER_RULE` per class and rule), and the maps' checks.

    `beside` of a picture that is shown are the figures of other methods.
    """
    import pandas as pd

    from artdetect.explain.method_settings import METHODS
    from artdetect.formatting import localisation

    found = _json(folder / file_names.LOCALISATION)
    checked = {
        "sentences": localisation.sentences(found),
        "header": localisation.HEADER,
        "meaning": localisation.MEANING,
        "rows": localisation.rows(found) if found else [],
        "groups": localisation.groups(found) if found else None,
        "curves": localisation.curves(found) if found else "",
    }
    table = pd.read_parquet(folder / file_names.EXPLANATIONS)
    if table.empty:
        return {"count": 0, "shown": [], "quality": None, "localisation": checked}
    shown = table.groupby(["label", "rule"], sort=False).head(SHOWN_PER_RULE)
    columns = ["path", "label", "predicted", "verdict", "p_ai", "rule", "name", "caption"]
    rows = shown[columns].to_dict("records")
    scores = {row["method"]: localisation.interval(row["auc"]) for row in (found["rows"] if found else ())}
    others = [method for method in METHODS if (folder / method).is_dir()]
    for row in rows:
        row["figure"] = folder / f"{row['name']}.png"
        row["beside"] = [
            {
                "label": METHODS[method].label,
                "auc": scores.get(method),
                "figure": folder / method / f"{row['name']}.png",
            }
            for method in others
        ]
    return {
        "count": len(table),
        "shown": rows,
        "quality": _json(folder / file_names.QUALITY),
        "localisation": checked,
    }


def _training(folder: Path) -> dict[str, Any]:
    """How the model was trained, and its identity; presets without epochs have no history."""
    import pandas as pd

    from artdetect.model.card import model_id, read_card
    from artdetect.model.detector import MODEL_FILE

    card = read_card(folder / MODEL_FILE)
    digest = digests.file_digest(folder / MODEL_FILE)
    metrics, history = _json(folder / file_names.METRICS), folder / file_names.HISTORY
    rows = pd.read_csv(history).to_dict("records") if history.is_file() else []
    config = _record(folder).get("parts", {}).get("config", {})
    pretrained = card["preset"] in PRETRAINED
    return {
        "parameters": metrics["parameters"],
        "history": rows,
        "epochs": len(rows),
        "best_epoch": metrics.get("best_epoch"),
        "best": next((row for row in rows if row["epoch"] == metrics["best_epoch"]), None),
        "candidates": metrics.get("candidates", []),
        "metrics": metrics,
        "abstain": config.get("abstain"),
        "calibration": metrics.get("calibration"),
        "pretrained": pretrained,
        "backbone": config.get("backbone") if pretrained else None,
        "degraded_views": config.get("degraded_views"),
        "card": card,
        "model": {"id": model_id(card, digest), "digest": digest, "data": card.get("data")},
    }


def _count_by(balance: "pd.DataFrame", *columns: str) -> list[dict[str, Any]]:
    """The number of pictures by these columns and split: rows of the columns, split and pictures."""
    counts = balance.groupby([*columns, "split"]).size().rename("pictures").reset_index()
    return counts.to_dict("records")


def _split_table(counts: list[dict[str, Any]], splits: tuple[str, ...]) -> dict[str, Any]:
    """Pictures by class and split, with totals."""
    cells: Counter[tuple[str, str]] = Counter()
    for row in counts:
        cells[row["label"], row["split"]] += row["pictures"]
    rows = [(label, [cells[label, split] for split in splits]) for label in CLASSES]
    totals = [sum(row[1][column] for row in rows) for column in range(len(splits))]
    return {"splits": splits, "rows": rows, "totals": totals, "total": sum(totals)}


def _used_by_generator(balance: "pd.DataFrame") -> list[dict[str, Any]]:
    """Pictures by class and generator: rows of label, generator and a count for each of `SPLITS`."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for count in _count_by(balance, "label", "generator"):
        names = {"label": count["label"], "generator": count["generator"]}
        row = rows.setdefault((count["label"], count["generator"]), names | dict.fromkeys(SPLITS, 0))
        row[count["split"]] = count["pictures"]
    return [rows[key] for key in sorted(rows)]


def _stages(folders: Mapping[str, Path]) -> list[dict[str, Any]]:
    """The key of each stage and the digest of the code that built it.

    The commit is left out: any commit with the same code gives the same bytes. It is in the stage's record.
    """
    codes = {stage: _record(folder).get("parts", {}).get("code") for stage, folder in folders.items()}
    return [
        {"stage": stage, "key": folder.name, "code": digests.value_digest(codes[stage])[:16] if codes[stage] else None}
        for stage, folder in folders.items()
    ]


def _packages(folders: Mapping[str, Path]) -> dict[str, str]:
    """The package versions that the stages were built with; two versions if they differ between stages."""
    versions: dict[str, set[str]] = {}
    for folder in folders.values():
        for package, version in _record(folder).get("parts", {}).get("packages", {}).items():
            versions.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(versions[package])) for package in sorted(versions)}


def _record(folder: Path) -> dict[str, Any]:
    """The store's record of how an artifact was built; empty if the stage was run by hand."""
    path = folder / file_names.RECORD
    return _json(path) if path.is_file() else {}
