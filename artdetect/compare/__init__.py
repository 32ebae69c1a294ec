"""compare: two evaluated models side by side. What differs, is the new one better, and where did it get worse?"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts.lineage import find, lineage, previous
from artdetect.artifacts.stages import STAGES
from artdetect.artifacts.store import StoredArtifact
from artdetect.compare.render import render_markdown, render_text
from artdetect.core.errors import DataError
from artdetect.model.detector import MODEL_FILE, model_id
from artdetect.pictures.labels import CLASSES
from artdetect.stats.confidence_intervals import CONFIDENCE, wilson
from artdetect.stats.paired_bootstrap import UNCLEAR, differences, mcnemar, scorer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare", "find", "previous", "render_markdown", "render_text"]

STAGES_BEHIND = ("index", "audit", "balance", "train", "evaluate")  # an evaluation: what its lineage should hold
SMALL_SAMPLE = 100  # pictures of a class, below which a bootstrap is too narrow
SIDES = ("old", "new")


def compare(a: Path, b: Path, resamples: int = 1000, seed: int = 129, flips: int = 20) -> dict[str, Any]:
    """What differs between evaluation folder `a`, the old one, and `b`, the new one; JSON-able, absent values are None.

    `old`, `new`: which they are; `changes`: of config, code, packages and pictures; `data`: what they learnt from and
    were tested on; `metrics`, `mcnemar`, `flips`, `by_generator`, `by_style`: on the test pictures of both, told by
    their content (copies count once); `notes`: what to bear in mind. Lists of pictures end after `flips`.

    Raises:
        ArtifactError: one of the two, or the balance behind it, does not match its record.
        DataError: they have no test picture in common under the same label.
    """
    made = dict(zip(SIDES, map(lineage, (a, b)), strict=True))
    tested = {side: _contents(parts["evaluate"].table("predictions.parquet")) for side, parts in made.items()}
    then, now = (table.add_suffix(f"_{side}") for side, table in tested.items())
    common = then.join(now, how="inner").sort_values("path_new")
    agreed = (common.label_old == common.label_new) & common.label_new.isin(CLASSES)
    both, left_out = common[agreed], common[~agreed]
    if both.empty:
        sizes = " and ".join(f"{made[side]['evaluate'].name} ({len(tested[side]):,} pictures)" for side in SIDES)
        under = f": all {len(common):,} in both stand under another label" if len(common) else ""
        raise DataError(f"{sizes} have no test picture in common{under}. Compare models tested on the same pictures")

    truth = (both.label_new == "AI").to_numpy()
    lost, won = both[both.right_old & ~both.right_new], both[~both.right_old & both.right_new]
    old, new = (
        scorer(truth, both[f"p_ai_{side}"].to_numpy(), (both[f"called_{side}"] == "AI").to_numpy()) for side in SIDES
    )
    found: dict[str, Any] = {
        **{side: _about(parts) for side, parts in made.items()},
        "changes": _changes(made["old"], made["new"]),
        "data": {
            "splits": _splits(made, tested),
            "test": {side: len(table) for side, table in tested.items()} | {"common": len(common)},
            "left_out": {
                "count": len(left_out),
                "pictures": [
                    {"path": row.path_new, "sha256": row.Index, "old": row.label_old, "new": row.label_new}
                    for row in left_out.head(flips).itertuples()
                ],
            },
        },
        "pictures": {"AI": int(truth.sum()), "human": int((~truth).sum())},
        "same_predictions": all(
            bool((both[f"{name}_old"] == both[f"{name}_new"]).all()) for name in ("p_ai", "called", "verdict")
        ),
        "confidence": CONFIDENCE,
        "resamples": resamples,
        "seed": seed,
        "metrics": differences(truth, old, new, resamples, seed),
        "mcnemar": {"right_to_wrong": len(lost), "wrong_to_right": len(won), "p": mcnemar(len(lost), len(won))},
        "unsure": _unsure(both),
        "flips": {"right_to_wrong": _flips(lost, flips), "wrong_to_right": _flips(won, flips)},
        "by_generator": _groups(both, "generator"),
        "by_style": _groups(both, "style"),
    }
    return found | {"notes": _notes(found)}


def _contents(predictions: "pd.DataFrame") -> "pd.DataFrame":
    """A row a content, by sha256: path, label, style, generator, p_ai, verdict, called, right.

    Label is "AI + human" for one that stands under both; `called` is the verdict where a model must choose.
    """
    labels = predictions.groupby("sha256").label.transform("nunique")
    called = predictions["called" if "called" in predictions else "verdict"]
    right = called == predictions.label
    label = predictions.label.where(labels == 1, " + ".join(CLASSES))
    return predictions.assign(label=label, called=called, right=right).drop_duplicates("sha256").set_index("sha256")


def _about(made: Mapping[str, StoredArtifact]) -> dict[str, Any]:
    """Which run it is, and which artifacts behind it are gone."""
    train, evaluate = made.get("train"), made["evaluate"]
    return {
        "folder": str(evaluate.folder),
        "artifacts": {stage: made[stage].key if stage in made else None for stage in STAGES_BEHIND},
        "model": train and model_id(train.record["parts"]["config"]["preset"], train.outputs[MODEL_FILE]["sha256"]),
        "trained": train and {"started": train.record["started"], "revision": train.record.get("revision")},
        "evaluated": {"started": evaluate.record["started"], "revision": evaluate.record.get("revision")},
        "model_digest": evaluate.inputs.get("train"),
    }


def _changes(old: Mapping[str, StoredArtifact], new: Mapping[str, StoredArtifact]) -> dict[str, list[dict[str, Any]]]:
    """Kind (config, code, packages, inputs) -> name, stages, old, new of each difference between stages of both.

    Inputs are those that no stage made: the data set's pictures.
    """
    found: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
    for kind in ("config", "code", "packages", "inputs"):
        found[kind] = {}
        for stage in (stage for stage in STAGES_BEHIND if stage in old and stage in new):
            then, now = (made[stage].record["parts"].get(kind, {}) for made in (old, new))
            for key in sorted({*then, *now}):
                values = then.get(key), now.get(key)
                if values[0] == values[1] or (kind == "inputs" and key in STAGES):
                    continue
                name = f"{stage}.{key}" if kind == "config" else key
                row = {"name": name, "stages": [], "old": values[0], "new": values[1]}
                found[kind].setdefault((name, *map(str, values)), row)["stages"].append(stage)
    return {kind: list(rows.values()) for kind, rows in found.items()}


def _splits(
    made: Mapping[str, Mapping[str, StoredArtifact]], tested: "Mapping[str, pd.DataFrame]"
) -> list[dict[str, Any]]:
    """Split x label -> old and new pictures and those of each generator; only tests where a balance is gone."""
    counts: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    for side, parts in made.items():
        gone = "balance" not in parts
        used = tested[side].assign(split="test") if gone else parts["balance"].table("balance.parquet")
        for (split, label, generator), count in used.groupby(["split", "label", "generator"]).size().items():
            counts.setdefault((split, label), {}).setdefault(side, {})[generator] = int(count)
    order = ("train", "validation", "test", "held_out")
    return [
        {"split": split, "label": label}
        | {
            side: {"pictures": sum(generators.values()), "generators": generators}
            if (generators := sides.get(side, {})) or split == "test" or "balance" in made[side]
            else None
            for side in SIDES
        }
        for (split, label), sides in sorted(counts.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    ]


def _unsure(both: "pd.DataFrame") -> dict[str, float] | None:
    """The share of pictures that each is unsure of; None where neither is of any."""
    shares = {side: float((both[f"verdict_{side}"] == "unsure").mean()) for side in SIDES}
    return shares if any(shares.values()) else None


def _flips(rows: "pd.DataFrame", shown: int) -> dict[str, Any]:
    """The number of flipped pictures, and those `shown` whose probability changed most."""
    change = (rows.p_ai_new - rows.p_ai_old).abs()
    first = rows.loc[change.sort_values(ascending=False, kind="stable").index[:shown]]
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
    found = []
    for name, rows in both.groupby(f"{column}_new"):
        right = {side: int(rows[f"right_{side}"].sum()) for side in SIDES}
        row = {column: name, "label": " + ".join(sorted(set(rows.label_new))), "pictures": len(rows)}
        for side in SIDES:
            low, high = wilson(right[side], len(rows))
            row[side] = {"value": right[side] / len(rows), "low": low, "high": high}
        row["change"] = (right["new"] - right["old"]) / len(rows)
        row["right_to_wrong"] = int((rows.right_old & ~rows.right_new).sum())
        row["wrong_to_right"] = int((~rows.right_old & rows.right_new).sum())
        found.append(row)
    return sorted(found, key=lambda row: row["change"])


def _notes(found: Mapping[str, Any]) -> list[str]:
    """What to bear in mind when reading the numbers, a sentence each."""
    notes = []
    if found["same_predictions"]:
        notes.append("both predict exactly the same for every common picture: all differences are zero")
    elif found["old"]["model_digest"] == found["new"]["model_digest"] is not None:
        notes.append("both evaluate the same model; only how it was evaluated differs")
    test = found["data"]["test"]
    for side in SIDES:
        if alone := test[side] - test["common"]:
            notes.append(
                f"the test of the {side} one has {alone:,} of {test[side]:,} pictures that the other's has not"
            )
    if count := found["data"]["left_out"]["count"]:
        notes.append(f"the labels differ for {count:,} of the common pictures: left out")
    few = [f"{count:,} {label}" for label, count in found["pictures"].items() if count < SMALL_SAMPLE]
    if few and not found["same_predictions"]:
        notes.append(f"only {' and '.join(few)} pictures are common: intervals of so few are too narrow")
    accuracy, p = found["metrics"]["accuracy"], found["mcnemar"]["p"]
    if accuracy["verdict"] != UNCLEAR and p >= 1 - CONFIDENCE:
        notes.append(
            f"accuracy: so few verdicts flipped that it may well be chance (McNemar's exact test, p = {p:.2g})"
        )
    gone = [f"{stage} ({side})" for side in SIDES for stage, key in found[side]["artifacts"].items() if key is None]
    if gone:
        notes.append(f"these artifacts behind them are gone and not compared: {', '.join(gone)}")
    return notes
