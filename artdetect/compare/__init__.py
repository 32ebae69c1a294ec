"""compare: two evaluated models side by side: what differs, whether the new one is better, and where it is worse."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names, leakage
from artdetect.artifacts.lineage import find, lineage, of_model, previous
from artdetect.artifacts.stages import STAGES
from artdetect.artifacts.store import StoredArtifact
from artdetect.compare.render import render_markdown, render_text
from artdetect.core.errors import DataError
from artdetect.formatting import other_art
from artdetect.model.card import model_id
from artdetect.pictures.labels import CLASSES
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.confidence_intervals import CONFIDENCE, wilson
from artdetect.stats.paired_bootstrap import UNCLEAR, differences, mcnemar, scorer
from artdetect.stats.paired_sources import log_loss_change

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare", "find", "previous", "render_markdown", "render_text"]

LINEAGE_STAGES = ("index", "audit", "balance", "train", "evaluate")  # behind an evaluation
SMALL_SAMPLE = 100  # pictures of a class, below which a bootstrap is too narrow
SIDES = ("old", "new")
Sides = Mapping[str, Mapping[str, StoredArtifact]]  # side -> stage -> artifact


def compare(a: Path, b: Path, resamples: int = 1000, seed: int = 129, flips: int = 20) -> dict[str, Any]:
    """Compare two evaluations on the test pictures that they have in common.

    The stored predictions are compared, and nothing is scored again. Pictures are identified by content, and copies
    count once.

    Args:
        a: The old evaluation's artifact folder.
        b: The new evaluation's artifact folder.
        resamples: Bootstrap resamples behind the intervals.
        seed: The seed of the bootstrap.
        flips: The most pictures to list of each kind.

    Returns:
        A JSON-able dictionary, where absent values are None.
        old, new: which evaluations they are.
        changes: differences of config, code, packages and pictures.
        data: what the models were trained and tested on.
        other_art: see `_other_art`.
        metrics, mcnemar, unsure, flips, by_generator, by_style: on the common test pictures.
        notes: what to bear in mind.

    Raises:
        ArtifactError: an evaluation, or the balance behind it, does not match its record.
        DataError: they have no test picture in common under the same label.
    """
    lineages, models = (dict(zip(SIDES, map(made_from, (a, b)), strict=True)) for made_from in (lineage, of_model))
    tested = {
        side: _contents(leakage.judged(parts["evaluate"].table(file_names.PREDICTIONS)))
        for side, parts in lineages.items()
    }
    old_table, new_table = (table.add_suffix(f"_{side}") for side, table in tested.items())
    common = old_table.join(new_table, how="inner").sort_values("path_new")
    agreed = (common.label_old == common.label_new) & common.label_new.isin(CLASSES)
    both, left_out = common[agreed], common[~agreed]
    if both.empty:
        sizes = " and ".join(f"{lineages[side]['evaluate'].name} ({len(tested[side]):,} pictures)" for side in SIDES)
        reason = f": the labels differ for all {len(common):,} that are in both" if len(common) else ""
        raise DataError(f"{sizes} have no test picture in common{reason}. Compare models tested on the same pictures")

    truth = (both.label_new == "AI").to_numpy()
    lost, won = both[both.right_old & ~both.right_new], both[~both.right_old & both.right_new]
    old, new = (
        scorer(truth, both[f"p_ai_{side}"].to_numpy(), (both[f"predicted_{side}"] == "AI").to_numpy()) for side in SIDES
    )
    result: dict[str, Any] = {
        **{side: _describe(parts, models[side]) for side, parts in lineages.items()},
        "changes": _changes(models, lineages),
        "data": {
            "splits": _splits(models, tested),
            "test": {side: len(table) for side, table in tested.items()} | {"common": len(common)},
            "left_out": {
                "count": len(left_out),
                "pictures": [
                    {"path": row.path_new, "sha256": row.Index, "old": row.label_old, "new": row.label_new}
                    for row in left_out.head(flips).itertuples()
                ],
            },
        },
        "other_art": _other_art(lineages, Bootstrap(resamples, seed)),
        "pictures": {"AI": int(truth.sum()), "human": int((~truth).sum())},
        "same_predictions": all(
            bool((both[f"{name}_old"] == both[f"{name}_new"]).all()) for name in ("p_ai", "predicted", "verdict")
        ),
        "confidence": CONFIDENCE,
        "resamples": resamples,
        "seed": seed,
        "metrics": differences(truth, old, new, Bootstrap(resamples, seed)),
        "mcnemar": {"right_to_wrong": len(lost), "wrong_to_right": len(won), "p": mcnemar(len(lost), len(won))},
        "unsure": _unsure(both),
        "flips": {"right_to_wrong": _flips(lost, flips), "wrong_to_right": _flips(won, flips)},
        "by_generator": _groups(both, "generator"),
        "by_style": _groups(both, "style"),
    }
    return result | {"notes": _notes(result)}


def _contents(predictions: "pd.DataFrame") -> "pd.DataFrame":
    """One row per content, indexed by sha256: path, label, style, generator, p_ai, verdict, predicted, right.

    The label is "AI + human" where a content stands under both. Tables without the column `predicted` have no unsure
    verdicts, so the verdict is the predicted class.
    """
    labels = predictions.groupby("sha256").label.transform("nunique")
    predicted = predictions["predicted" if "predicted" in predictions else "verdict"]
    right = predicted == predictions.label
    label = predictions.label.where(labels == 1, " + ".join(CLASSES))
    return (
        predictions.assign(label=label, predicted=predicted, right=right).drop_duplicates("sha256").set_index("sha256")
    )


def _describe(parts: Mapping[str, StoredArtifact], made_from: Mapping[str, StoredArtifact]) -> dict[str, Any]:
    """The model, its artifacts (None where they no longer exist), and when it was trained and evaluated.

    A model from elsewhere has a name and no artifact of stage train.

    Args:
        parts: Stage -> artifact behind the evaluation.
        made_from: The same behind the model, which may be trained on another balance.
    """
    train, evaluate = parts.get("train"), parts["evaluate"]
    outside = evaluate.record["parts"].get("config", {}).get(file_names.OUTSIDE)
    stages = [stage for stage in LINEAGE_STAGES if not (outside and stage == "train")]
    return {
        "folder": str(evaluate.folder),
        "artifacts": {stage: parts[stage].key if stage in parts else None for stage in stages},
        "model": model_id(train.record["parts"]["config"], train.outputs[file_names.MODEL]["sha256"])
        if train
        else outside,
        "trained": train and {"started": train.record["started"], "revision": train.record.get("revision")},
        "trained_on": made_from["balance"].key if "balance" in made_from else None,
        "evaluated": {"started": evaluate.record["started"], "revision": evaluate.record.get("revision")},
        "model_digest": evaluate.inputs.get("train"),
    }


def _other_art(lineages: Sides, bootstrap: Bootstrap) -> dict[str, Any]:
    """How both models did on art from other sources.

    Returns:
        old, new: pictures, sources and the measures of `formatting.other_art`; None where nothing is known.
        log_loss: `paired_sources.log_loss_change` on the pictures that both were judged on, or why there is none.
    """
    sides: dict[str, Any] = {}
    for side, parts in lineages.items():
        found = other_art.measured(parts["train"].record.get("metrics", {})) if "train" in parts else None
        sides[side] = found and {
            "pictures": found["pictures"],
            "sources": sum(found["sources"].values()),
            **{name: found[name] for name in other_art.MEASURES},
        }
    if None in sides.values():
        return sides | {"log_loss": "nothing is known about art from other sources for both models"}
    old, new = (lineages[side]["train"].table(file_names.OUT_OF_SOURCE) for side in SIDES)
    return sides | {"log_loss": log_loss_change(old, new, bootstrap.resamples, bootstrap.seed)}


def _changes(*lineages: Sides) -> dict[str, list[dict[str, Any]]]:
    """Kind (config, code, packages, inputs) -> name, stages, old, new of each difference between stages of both.

    Inputs that are artifacts of a stage are not listed, only the data set's pictures.

    Args:
        lineages: For each side what was made from what: behind the models, and behind the evaluations.
    """
    changes: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
    for kind, sides, stage in itertools.product(("config", "code", "packages", "inputs"), lineages, LINEAGE_STAGES):
        found = changes.setdefault(kind, {})
        if not all(stage in sides[side] for side in SIDES):
            continue
        before, after = (sides[side][stage].record["parts"].get(kind, {}) for side in SIDES)
        for key in sorted({*before, *after}):
            values = before.get(key), after.get(key)
            if values[0] == values[1] or (kind == "inputs" and key in STAGES):
                continue
            name = f"{stage}.{key}" if kind == "config" else key
            row = {"name": name, "stages": [], "old": values[0], "new": values[1]}
            row = found.setdefault((name, *map(str, values)), row)
            if stage not in row["stages"]:
                row["stages"].append(stage)
    return {kind: list(rows.values()) for kind, rows in changes.items()}


def _splits(models: Sides, tested: "Mapping[str, pd.DataFrame]") -> list[dict[str, Any]]:
    """One row per split and label: the number of pictures, in all and of each generator, on both sides.

    These are the pictures that a model was trained on, and those that it was tested on here. Where the balance that it
    was trained on no longer exists, only the latter are known.
    """
    import pandas as pd

    counts: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    for side, parts in models.items():
        table = tested[side].assign(split="test")
        if "balance" in parts:
            own = parts["balance"].table(file_names.BALANCE)
            table = pd.concat([own[own.split != "test"], table])
        for (split, label, generator), count in table.groupby(["split", "label", "generator"]).size().items():
            counts.setdefault((split, label), {}).setdefault(side, {})[generator] = int(count)
    order = ("train", "validation", "test", "held_out")
    return [
        {"split": split, "label": label}
        | {
            side: {"pictures": sum(generators.values()), "generators": generators}
            if (generators := sides.get(side, {})) or split == "test" or "balance" in models[side]
            else None
            for side in SIDES
        }
        for (split, label), sides in sorted(counts.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    ]


def _unsure(both: "pd.DataFrame") -> dict[str, float] | None:
    """The share of unsure verdicts on each side; None where there are none at all."""
    shares = {side: float((both[f"verdict_{side}"] == "unsure").mean()) for side in SIDES}
    return shares if any(shares.values()) else None


def _flips(rows: "pd.DataFrame", limit: int) -> dict[str, Any]:
    """The number of flipped pictures, and up to `limit` of them, the largest change of p(AI) first."""
    change = (rows.p_ai_new - rows.p_ai_old).abs()
    first = rows.loc[change.sort_values(ascending=False, kind="stable").index[:limit]]
    return {
        "count": len(rows),
        "pictures": [
            {
                "path": row.path_new,
                "sha256": row.Index,
                "label": row.label_new,
                "style": row.style_new,
                "generator": row.generator_new,
                "p_ai": {"old": row.p_ai_old, "new": row.p_ai_new},
            }
            for row in first.itertuples()
        ],
    }


def _groups(both: "pd.DataFrame", column: str) -> list[dict[str, Any]]:
    """Old and new accuracy of each style or generator, worst change first."""
    groups = []
    for name, rows in both.groupby(f"{column}_new"):
        right = {side: int(rows[f"right_{side}"].sum()) for side in SIDES}
        row = {column: name, "label": " + ".join(sorted(set(rows.label_new))), "pictures": len(rows)}
        for side in SIDES:
            low, high = wilson(right[side], len(rows))
            row[side] = {"value": right[side] / len(rows), "low": low, "high": high}
        row["change"] = (right["new"] - right["old"]) / len(rows)
        row["right_to_wrong"] = int((rows.right_old & ~rows.right_new).sum())
        row["wrong_to_right"] = int((~rows.right_old & rows.right_new).sum())
        groups.append(row)
    return sorted(groups, key=lambda row: row["change"])


def _notes(result: Mapping[str, Any]) -> list[str]:
    """What to bear in mind when reading the numbers, one sentence each."""
    notes = []
    if result["same_predictions"]:
        notes.append("both give the same predictions for every common picture, so all differences are zero")
    elif result["old"]["model_digest"] == result["new"]["model_digest"] is not None:
        notes.append("both evaluate the same model; only the evaluation differs")
    test = result["data"]["test"]
    for side in SIDES:
        if alone := test[side] - test["common"]:
            notes.append(f"{alone:,} of the {test[side]:,} test pictures of the {side} evaluation are not in the other")
    if count := result["data"]["left_out"]["count"]:
        notes.append(f"{count:,} common pictures are left out, because their labels differ")
    few = [f"{count:,} {label}" for label, count in result["pictures"].items() if count < SMALL_SAMPLE]
    if few and not result["same_predictions"]:
        notes.append(f"only {' and '.join(few)} pictures are common, and the intervals of so few are too narrow")
    accuracy, p = result["metrics"]["accuracy"], result["mcnemar"]["p"]
    if accuracy["verdict"] != UNCLEAR and p >= 1 - CONFIDENCE:
        notes.append(
            f"so few predictions flipped that the change of accuracy may be chance (McNemar's exact test, p = {p:.2g})"
        )
    missing = [f"{stage} ({side})" for side in SIDES for stage, key in result[side]["artifacts"].items() if key is None]
    if missing:
        notes.append(f"these artifacts no longer exist and are not compared: {', '.join(missing)}")
    return notes
