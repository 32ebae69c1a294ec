"""What page and card say, as plain values from the artifacts: no markup here, so that a number is easy to check."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import digests
from artdetect.model.decision import DecisionRule
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.report import assessment

if TYPE_CHECKING:
    import pandas as pd

WIDE_PX = 0.3  # an interval wider than this says little: the group is marked
SHOWN_PER_RULE = 3  # explanations on the page per class and rule, so that it stays small enough to send
PRETRAINED = ("artnet", "finetune")  # presets that begin with a backbone
SPLITS = ("train", "validation", "test", "held_out")


def gather(folders: Mapping[str, Path]) -> dict[str, Any]:
    """Everything that is shown, by part; `folders` as in `artdetect.report.run`."""
    import pandas as pd

    metrics = _json(folders["evaluate"] / "metrics.json")
    predictions = pd.read_parquet(folders["evaluate"] / "predictions.parquet")
    audit = _json(folders["audit"] / "audit.json")
    balance = pd.read_parquet(folders["balance"] / "balance.parquet")
    training = _training(folders["train"])
    return {
        "notice": _notice(folders["index"] / "notice.txt"),
        "metrics": metrics,
        "result": _result(metrics),
        "sure": assessment.confidence(metrics, DecisionRule(**training["card"].get("rule", {})), predictions),
        "generators": _generators(metrics, balance),
        "styles": sorted(_groups(metrics["by_style"], "style"), key=lambda group: -group["pictures"]),
        "sizes": _groups(metrics.get("by_size", []), "size"),
        "wear": assessment.robustness(metrics),
        "unseen": assessment.unseen_generators(training["left_out"]),
        "baselines": assessment.baselines(metrics),
        "weak": assessment.weak_slices(metrics),
        "attribution": assessment.attribution(metrics),
        "mistakes": assessment.worst_errors(metrics, folders["evaluate"] / "mistakes.png"),
        "explanations": _explanations(folders["explain"]),
        "training": training,
        "audit": audit,
        "counts": _table(audit["counts"], ("train", "test")),
        "sheet": sheet if (sheet := folders["audit"] / "worst.png").is_file() else None,
        "used": _table(_counted(balance, "label"), ("train", "validation", "test")),
        "learnt": _learnt(balance),
        "weighted": bool((balance.weight != 1).any()),
        "held_out": balance.generator[balance.split == "held_out"].value_counts().sort_index().to_dict(),
        "model": training["model"],
        "stages": _stages(folders),
        "packages": _packages(folders),
    }


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _notice(path: Path) -> list[str]:
    """The paragraphs of what the data set says of itself; none if it says nothing."""
    if not path.is_file():
        return []
    return [text for part in path.read_text(encoding="utf-8").split("\n\n") if (text := " ".join(part.split()))]


def _result(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of the sentence that sums up the test."""
    confusion = metrics["confusion"]
    of_ai, of_human = sum(confusion[AI]), sum(confusion[HUMAN])
    return {
        "ai": of_ai,
        "ai_found": confusion[AI][AI],
        "human": of_human,
        "human_accused": confusion[HUMAN][AI],
        "prevalence": of_ai / metrics["pictures"],
        "wrong": confusion[AI][HUMAN] + confusion[HUMAN][AI],
    }


def _generators(metrics: Mapping[str, Any], balance: "pd.DataFrame") -> list[dict[str, Any]]:
    """The test by generator; `unseen` where none of its pictures trained."""
    trained = set(balance.generator[balance.split == "train"])
    rows = [row | {"unseen": row["name"] not in trained} for row in _groups(metrics["by_generator"], "generator")]
    return sorted(rows, key=lambda row: row["label"])


def _groups(groups: list[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    rows = []
    for group in groups:
        unsure = group["accuracy"]["high"] - group["accuracy"]["low"] > WIDE_PX
        rows.append(group | {"name": group[column], "unsure": unsure, "unseen": False})
    return rows


def _explanations(folder: Path) -> dict[str, Any]:
    """The pictures to show, at most `SHOWN_PER_RULE` per class and rule, how many there are, and the maps' check."""
    import pandas as pd

    table = pd.read_parquet(folder / "explanations.parquet")
    if table.empty:
        return {"count": 0, "shown": [], "quality": None}
    shown = table.groupby(["label", "rule"], sort=False).head(SHOWN_PER_RULE)
    columns = ["path", "label", "called", "verdict", "p_ai", "rule", "name"]
    rows = shown[columns].to_dict("records")
    return {
        "count": len(table),
        "shown": [row | {"figure": folder / f"{row['name']}.png"} for row in rows],
        "quality": _json(folder / "quality.json"),
    }


def _training(folder: Path) -> dict[str, Any]:
    """How the model came to be, and what its file is; a history only of a net that was trained by steps."""
    import pandas as pd

    from artdetect.model.detector import MODEL_FILE, model_id, read_card

    card = read_card(folder / MODEL_FILE)
    digest = digests.file_digest(folder / MODEL_FILE)
    metrics, history = _json(folder / "metrics.json"), folder / "history.csv"
    rows = pd.read_csv(history).to_dict("records") if history.is_file() else []
    config = _record(folder).get("parts", {}).get("config", {})
    return {
        "parameters": metrics["parameters"],
        "history": rows,
        "epochs": len(rows),
        "best_epoch": metrics.get("best_epoch"),
        "best": next((row for row in rows if row["epoch"] == metrics["best_epoch"]), None),
        "candidates": metrics.get("candidates", []),
        "left_out": metrics.get("left_out", []),
        "calibration": metrics.get("calibration"),
        "pretrained": (pretrained := card["preset"] in PRETRAINED),
        "backbone": config.get("backbone") if pretrained else None,
        "views": config.get("views"),
        "card": card,
        "model": {"id": model_id(card["preset"], digest), "digest": digest, "data": card.get("data")},
    }


def _counted(balance: "pd.DataFrame", *columns: str) -> list[dict[str, Any]]:
    counts = balance.groupby([*columns, "split"]).size().rename("pictures").reset_index()
    return counts.to_dict("records")


def _table(counts: list[dict[str, Any]], splits: tuple[str, ...]) -> dict[str, Any]:
    """Pictures by class and split, with the totals of both."""
    cells: Counter[tuple[str, str]] = Counter()
    for row in counts:
        cells[row["label"], row["split"]] += row["pictures"]
    rows = [(label, [cells[label, split] for split in splits]) for label in CLASSES]
    totals = [sum(row[1][column] for row in rows) for column in range(len(splits))]
    return {"splits": splits, "rows": rows, "totals": totals, "total": sum(totals)}


def _learnt(balance: "pd.DataFrame") -> list[dict[str, Any]]:
    """Pictures by class and generator: {"label", "generator", and each of `SPLITS`}."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for count in _counted(balance, "label", "generator"):
        names = {"label": count["label"], "generator": count["generator"]}
        row = rows.setdefault((count["label"], count["generator"]), names | dict.fromkeys(SPLITS, 0))
        row[count["split"]] = count["pictures"]
    return [rows[key] for key in sorted(rows)]


def _stages(folders: Mapping[str, Path]) -> list[dict[str, Any]]:
    """What this report was made from: each stage's key, and the digest of the code that built it.

    Not its commit, which the record has too: the same bytes come out of any commit with the same code.
    """
    codes = {stage: _record(folder).get("parts", {}).get("code") for stage, folder in folders.items()}
    return [
        {"stage": stage, "key": folder.name, "code": digests.value_digest(codes[stage])[:16] if codes[stage] else None}
        for stage, folder in folders.items()
    ]


def _packages(folders: Mapping[str, Path]) -> dict[str, str]:
    """The versions of the packages that shaped the stages' outputs; two where stages were built with different ones."""
    versions: dict[str, set[str]] = {}
    for folder in folders.values():
        for package, version in _record(folder).get("parts", {}).get("packages", {}).items():
            versions.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(versions[package])) for package in sorted(versions)}


def _record(folder: Path) -> dict[str, Any]:
    """What the store wrote of an artifact's build; nothing where a stage was run by hand."""
    path = folder / "record.json"
    return _json(path) if path.is_file() else {}
