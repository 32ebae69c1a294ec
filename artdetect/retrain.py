"""Retraining: when it is due, what it starts from, and when its result is promoted. The flow is flows/retrain.py.

A challenger is trained on the known and the incoming pictures. The gate compares it with the champion on the same test
pictures. Only then does the champion alias move, in one step.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from artdetect import gate
from artdetect.artifacts import lineage, registry, run_ledger, store
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.run_ledger import Run
from artdetect.artifacts.store import Artifact
from artdetect.core.config_section import Section
from artdetect.index.config import IndexConfig
from artdetect.ingest import incoming
from artdetect.train.config import TrainConfig
from artdetect.usage.config import UsageConfig

FLOW = "retrain"  # the flow's name in the run ledger, and the promoter's name in the champion's history
GRADIENT_PRESETS = ("compact", "finetune", "notebook")  # trained by gradient descent, so they can start from weights


class RetrainConfig(Section):
    """Section `retrain`."""

    min_new_pictures: int = Field(
        100, ge=1, description="how many new pictures since the last retraining make another one due"
    )
    on_drift: bool = Field(
        False, description="whether one new picture is enough where use has drifted, see section `usage`"
    )
    initial_weights: Literal["scratch", "champion"] = Field(
        "scratch",
        description="what compact, finetune and notebook start from; they are trained on all pictures either way. "
        "artnet always fits its head anew, on cached features",
    )


def new_pictures() -> "Counter[str]":
    """`<label>/<generator>` -> number of pictures that arrived since the last retraining that reached the gate.

    Before the first such retraining: since the champion was trained.
    """
    return incoming.added_since(_known_index())


def skip_reason(config: RetrainConfig, usage: UsageConfig) -> str | None:
    """Why no retraining is due, in words; None if one is due.

    Args:
        config: The section `retrain`.
        usage: The section `usage`, which says when use has drifted.
    """
    new = new_pictures().total()
    if new >= config.min_new_pictures or (new and config.on_drift and _has_drifted(usage)):
        return None
    return f"{new:,} new pictures since the last retraining, {config.min_new_pictures:,} are needed"


def _has_drifted(usage: UsageConfig) -> bool:
    from artdetect.usage import drift  # here, because a config is loaded without what models need

    found = drift.drift(usage)
    return found is not None and found.drifted


def last_retraining(ledger: Sequence[Run]) -> Run | None:
    """The last retraining that reached the gate, however it ended afterwards.

    Args:
        ledger: All runs on record, oldest first.
    """
    decided = (
        run for run in reversed(ledger) if run.flow == FLOW and (run.state == "completed" or "verdict" in run.facts)
    )
    return next((run for run in decided if any(use.stage == "index" for use in run.stages)), None)


def last_index() -> str | None:
    """The key of the index that the last retraining that reached the gate used, if the run ledger has one."""
    run = last_retraining(run_ledger.read())
    return next((use.key for use in run.stages if use.stage == "index"), None) if run else None


def _known_index() -> Path | None:
    """The index whose pictures are not new: that of the last completed retraining, or else the champion's."""
    champion = registry.champion()
    keys = (last_index(), champion.artifacts.get("index") if champion else None)
    return next((artifact.folder for key in keys if key and (artifact := store.find("index", key))), None)


def current_champion() -> Promotion | None:
    """The champion. Before the first promotion, this promotes the newest own model, or the starter.

    Returns:
        The champion, or None if there is no model at all.

    Raises:
        ModelError: The champion's artifact is missing or damaged.
    """
    from artdetect.model import choice  # here, because a config is loaded without what models need

    if registry.champion_model():
        return registry.champion()
    newest = choice.newest_own() or choice.publish_starter()
    if newest is None:
        return None
    why = "the model in use when the first retraining began"
    return registry.promote(newest, lineage.lineage_keys(newest), FLOW, why)


def reference() -> Promotion | None:
    """The oldest intact champion that a rollback can reach; None if there is none before the current one."""
    active = registry.active_promotions(registry.history())
    earlier = (promotion for promotion in active if promotion.train != active[-1].train)
    return next((promotion for promotion in earlier if registry.fault(promotion) is None), None)


def training_split_of(model: Promotion | None) -> Artifact | None:
    """The balance artifact that lists the pictures a model was trained on, if it still exists."""
    key = model.artifacts.get("balance") if model else None
    return store.find("balance", key) if key else None


def challenger_sections(
    index: IndexConfig, train: TrainConfig, retrain: RetrainConfig, champion: Promotion | None
) -> dict[str, Section]:
    """The config sections in which a challenger differs: it uses incoming pictures and, if configured, initial weights.

    Args:
        index: The configured section `index`.
        train: The configured section `train`.
        retrain: The configured section `retrain`.
        champion: The champion, whose weights the challenger may start from.

    Returns:
        Section name -> the section to use instead.
    """
    sections: dict[str, Section] = {"index": index.model_copy(update={"incoming": True})}
    if retrain.initial_weights == "champion" and champion and train.preset in GRADIENT_PRESETS:
        sections["train"] = train.model_copy(update={"initial_weights": champion.train})
    return sections


def promote_if_passed(gate_folder: Path, keys: Mapping[str, str], champion: Promotion | None) -> tuple[bool, str]:
    """Promote the challenger if it passed the gate.

    Args:
        gate_folder: The gate's artifact folder.
        keys: Stage -> key of the challenger's artifacts.
        champion: The champion that the challenger was compared with.

    Returns:
        Whether the challenger was promoted, and a sentence about the outcome.

    Raises:
        ModelError: Another model has been promoted since `champion` was compared with.
    """
    verdict = gate.verdict(gate_folder)
    if champion and champion.train == keys["train"]:
        return False, f"The challenger came out identical to the champion, {champion.train}: nothing to promote."
    if verdict["verdict"] != "promote":
        return False, f"Kept the champion, {champion.train}." if champion else "There is still no champion."
    registry.promote(keys["train"], keys, FLOW, verdict["sentence"], replacing=champion.train if champion else None)
    replaced = f" in place of {champion.train}." if champion else ": the first champion."
    return True, f"Promoted {keys['train']}{replaced}"
