"""Retraining: when it is due, where it starts from, what becomes of a judged challenger. The flow is flows/retrain.py.

A challenger learns from the old and the incoming pictures; the gate judges it and the champion on the same test
pictures; only then, and in one step, the alias moves.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from artdetect import gate
from artdetect.artifacts import lineage, registry, run_ledger, store
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.store import Artifact
from artdetect.core.config_section import Section
from artdetect.index.config import IndexConfig
from artdetect.ingest import incoming
from artdetect.train.config import TrainConfig

FLOW = "retrain"  # its name in the ledger of runs, and who promotes
GRADIENT_PRESETS = (
    "compact",
    "finetune",
    "notebook",
)  # presets that learn by steps, and so can begin with given weights


class RetrainConfig(Section):
    """Section `retrain`."""

    least: int = Field(
        100, ge=1, description="new pictures in data/incoming, since the last judged retraining, that are worth one"
    )
    start: Literal["scratch", "champion"] = Field(
        "scratch",
        description="what compact, finetune and notebook begin with; the old pictures are learnt from either way. "
        "artnet always fits its head anew, on features that are kept",
    )


def new_pictures() -> "Counter[str]":
    """How many pictures came in since the last judged retraining, or else since the champion's, by where they are."""
    return incoming.added_since(_known_index())


def skip_reason(config: RetrainConfig) -> str | None:
    """Why no retraining is due, in words; None where one is."""
    new = new_pictures().total()
    if new >= config.least:
        return None
    return f"{new:,} new pictures since the last retraining, {config.least:,} are worth one"


def index_judged_on() -> str | None:
    """The key of the index that the last judged retraining saw, as far as the ledger can be read."""
    judged = (run for run in reversed(run_ledger.read()) if run.flow == FLOW and run.state == "completed")
    return next((use.key for run in judged for use in run.stages if use.stage == "index"), None)


def _known_index() -> Path | None:
    """The index that new pictures are new to: the last judged retraining's, or else the champion's."""
    champion = registry.champion()
    keys = (index_judged_on(), champion.artifacts.get("index") if champion else None)
    return next((store.place("index", key) for key in keys if key and store.verify("index", key) is None), None)


def current_champion() -> Promotion | None:
    """The champion. Before the first promotion it is the model that predict uses, which becomes the champion by this.

    None where there is no model at all. ModelError where the champion is no longer whole.
    """
    if registry.champion_model():
        return registry.champion()
    newest = store.newest("train")
    if newest is None:
        return None
    why = "the model in use when the first retraining began"
    return registry.promote(newest.key, lineage.lineage_keys(newest.key), FLOW, why)


def reference() -> Promotion | None:
    """The oldest champion that a rollback can reach and that is whole; None where there is none before the present."""
    standing = registry.active_promotions(registry.history())
    earlier = (entry for entry in standing if entry.train != standing[-1].train)
    return next((entry for entry in earlier if store.verify("train", entry.train) is None), None)


def training_split_of(model: Promotion | None) -> Artifact | None:
    """The balance that says which pictures a model learnt from, as far as it is still there."""
    key = model.artifacts.get("balance") if model else None
    return store.at("balance", key) if key and store.verify("balance", key) is None else None


def challenger_sections(
    index: IndexConfig, train: TrainConfig, retrain: RetrainConfig, champion: Promotion | None
) -> dict[str, Section]:
    """The sections in which a challenger's config differs: incoming pictures, and initial weights where configured."""
    changes: dict[str, Section] = {"index": index.model_copy(update={"incoming": True})}
    if retrain.start == "champion" and champion and train.preset in GRADIENT_PRESETS:
        changes["train"] = train.model_copy(update={"start": champion.train})
    return changes


def promote_if_passed(judged: Path, made: Mapping[str, str], champion: Promotion | None) -> tuple[bool, str]:
    """Promote the challenger if the gate's artifact folder says so; whether it was, and what came of it in a sentence.

    `made` maps stages to the keys of the challenger's artifacts. ModelError where another model was promoted since
    `champion` was judged against.
    """
    verdict = gate.verdict(judged)
    if champion and champion.train == made["train"]:
        return False, f"The challenger came out as the champion itself, {champion.train}: nothing to promote."
    if verdict["verdict"] != "promote":
        return False, f"Kept the champion, {champion.train}." if champion else "There is still no champion."
    registry.promote(made["train"], made, FLOW, verdict["sentence"], replacing=champion.train if champion else None)
    before = f" in place of {champion.train}." if champion else ": the first champion."
    return True, f"Promoted {made['train']}{before}"
