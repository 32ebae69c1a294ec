"""The values that the page and the model card show, read from the artifacts; no markup, so they are easy to test."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names, leakage
from artdetect.artifacts.stages import TRAINED_ON
from artdetect.core import digests
from artdetect.model.decision import DecisionRule
from artdetect.pictures import notice
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.report import assessment, beside, galleries

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.report.champion import Other

WIDE_INTERVAL = 0.3  # a subgroup with a wider interval is marked as uncertain
PRETRAINED = ("artnet", "finetune")  # presets with a pretrained backbone
SPLITS = ("train", "validation", "test", "held_out")


def gather(
    folders: Mapping[str, Path], other: "Other | None" = None, origin: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Read everything that the page and the card show.

    Args:
        folders: stage -> artifact folder, as in `artdetect.report.run`; without train and explain for a model from
            elsewhere.
        other: a second model to put beside.
        origin: as in `artdetect.report.run`.
    """
    import pandas as pd

    metrics = _json(folders["evaluate"] / file_names.METRICS)
    predictions = leakage.judged(pd.read_parquet(folders["evaluate"] / file_names.PREDICTIONS))
    audit = _json(folders["audit"] / file_names.AUDIT)
    balance = _balance(folders)
    audit_sheet = folders["audit"] / file_names.AUDIT_EXAMPLES
    training = _training(folders["train"]) if "train" in folders else None
    outside = {} if training else _outside(folders["evaluate"])
    rule = DecisionRule.from_dict(training["card"].get("rule", {})) if training else DecisionRule(outside["threshold"])
    measured = training["metrics"] if training else metrics
    second = beside.gather(other, folders)
    return {
        "notice": notice.read(folders["index"] / file_names.NOTICE).paragraphs,
        "metrics": metrics,
        "result": _result(metrics),
        "beside": second,
        "gate": _json(folders["gate"] / file_names.GATE) if "gate" in folders else None,
        "other_art": assessment.other_art(measured, metrics, training and training["abstain"]),
        "confidence": assessment.confidence(measured, metrics, rule, predictions),
        "generators": _groups(metrics, "generator", balance),
        "sources": _groups(metrics, "source", balance),
        "styles": sorted(_subgroups(metrics["by_style"], "style"), key=lambda group: -group["pictures"]),
        "sizes": _subgroups(metrics.get("by_size", []), "size"),
        "robustness": assessment.robustness(metrics),
        "baselines": assessment.baselines(metrics, measured),
        "weak_slices": assessment.weak_slices(metrics),
        "generator_attribution": assessment.generator_attribution(metrics),
        "mistakes": galleries.mistakes(
            predictions, rule.threshold, metrics, dict(zip(balance.path, balance.sha256, strict=True)), second
        ),
        "explanations": None
        if "explain" not in folders
        else galleries.explanations(folders["explain"], predictions, rule.threshold, second),
        "training": training,
        "outside": outside,
        "audit": audit,
        "audit_sheet": audit_sheet if audit_sheet.is_file() else None,
        "available": _split_table(audit["counts"], ("train", "test")),
        "used": _split_table(_count_by(balance, "label"), ("train", "validation", "test")),
        "used_by_generator": _used_by_generator(balance),
        "weighted": bool((balance.weight != 1).any()),
        "held_out": balance.generator[balance.split == "held_out"].value_counts().sort_index().to_dict(),
        "model": (training or outside)["model"],
        "stages": _stages(folders),
        "packages": _packages(folders),
        "tested_later": TRAINED_ON in folders,
        "origin": origin,
    }


def _balance(folders: Mapping[str, Path]) -> "pd.DataFrame":
    """The pictures that the model was trained on and those that it was tested on, from two balances if need be."""
    import pandas as pd

    tested = pd.read_parquet(folders["balance"] / file_names.BALANCE)
    if TRAINED_ON not in folders:
        return tested
    trained = pd.read_parquet(folders[TRAINED_ON] / file_names.BALANCE)
    return pd.concat([trained[trained.split != "test"], tested[tested.split == "test"]], ignore_index=True)


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


def _training(folder: Path) -> dict[str, Any]:
    """How the model was trained, and its identity; presets without epochs have no history."""
    import pandas as pd

    from artdetect.model.card import model_id, read_card

    card = read_card(folder / file_names.MODEL)
    digest = digests.file_digest(folder / file_names.MODEL)
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


def _outside(folder: Path) -> dict[str, Any]:
    """What is known of a model from elsewhere: its name, its threshold and the digest of its scores."""
    parts = _record(folder)["parts"]
    name, threshold = parts["config"][file_names.OUTSIDE], parts["config"]["threshold"]
    return {"threshold": threshold, "model": {"id": name, "digest": parts["inputs"][file_names.OUTSIDE], "data": None}}


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
    """The key of each stage, the digest of the code that built it, and the commit, with a + if files differed from it.

    Any commit with the same code gives the same outputs.
    """
    rows = []
    for stage, folder in folders.items():
        record = _record(folder)
        code = record.get("parts", {}).get("code")
        rows.append(
            {
                "stage": stage,
                "key": folder.name,
                "code": digests.value_digest(code)[:16] if code else None,
                "commit": record.get("revision"),
            }
        )
    return rows


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
