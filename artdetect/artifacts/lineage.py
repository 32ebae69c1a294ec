"""Which evaluation a name means, and the artifacts that it was made from."""

import os
from pathlib import Path

from artdetect.artifacts import key_lookup, registry, store
from artdetect.artifacts.stages import STAGES
from artdetect.artifacts.store import StoredArtifact
from artdetect.core.errors import ArtifactError, ConfigError

NAMING = ("evaluate", "train", "report")  # stages whose artifacts name an evaluation


def find(name: str) -> Path:
    """The folder of the evaluation that `name` means.

    `name` is `newest`, `previous` (the one before it), `champion`, the folder of an artifact of `NAMING`, or its key or
    the first characters of it. A model evaluated several times means its newest evaluation, a report means the one it
    shows.

    Raises:
        ArtifactError: nothing or several fit; the message lists the candidates.
        ConfigError: so few characters, or a folder of a stage that names no evaluation.
    """
    if name in ("newest", "previous"):
        newest = _newest()
        return newest.folder if name == "newest" else previous(newest.folder)
    if name == "champion":
        named = [_champion()]
    elif os.sep in name or (Path(name) / store.RECORD).is_file():
        named = [store.read(Path(name).resolve())]
        if named[0].stage not in NAMING:
            raise ConfigError(f"{name}: it is of stage {named[0].stage}; name one of {', '.join(NAMING)}")
    else:
        named = _with_key(name)
    meant = {found.folder: found for made in named if (found := _evaluation(made))}
    if len(meant) > 1:
        raise key_lookup.ambiguous(named, name)
    if not meant:
        raise ArtifactError(
            f"{key_lookup.format_keys(named)}: there is no evaluation of it. Make one with `artdetect run`"
        )
    return next(iter(meant))


def previous(evaluation: Path) -> Path:
    """The newest evaluation beside and before this one; ArtifactError if it is the first."""
    beside = [made.folder for made in store.stored("evaluate", evaluation.parent.parent)]
    place = beside.index(evaluation) if evaluation in beside else 0
    if place == 0:
        raise ArtifactError(f"evaluate/{evaluation.name}: there is no evaluation before it. Name another to compare it")
    return beside[place - 1]


def lineage(evaluation: Path) -> dict[str, StoredArtifact]:
    """Stage -> the artifact of it that this evaluation was made from, itself too; without those that are gone."""
    root = evaluation.parent.parent
    found = {"evaluate": store.read(evaluation)}
    waiting = ["evaluate"]
    while waiting:
        made = found[waiting.pop()]
        for stage, digest in made.inputs.items():
            if stage in STAGES and stage not in found and (source := _source(root, stage, digest, made)):
                found[stage] = source
                waiting.append(stage)
    return found


def lineage_keys(train_key: str) -> dict[str, str]:
    """Stage -> key of what made a model and judged it last, as far as it is still there."""
    try:
        behind = lineage(find(train_key))
    except ArtifactError:  # not evaluated, or its evaluation is gone
        return {"train": train_key}
    return {stage: built.folder.name for stage, built in behind.items()} | {"train": train_key}


def _newest() -> StoredArtifact:
    evaluations = store.stored("evaluate")
    if not evaluations:
        raise ArtifactError("there is no evaluation yet. Make one with `artdetect run`")
    return evaluations[-1]


def _champion() -> StoredArtifact:
    entry = registry.champion()
    if entry is None:
        raise ArtifactError("there is no champion yet. Make a model the champion with `artdetect promote KEY`")
    return store.read(store.place("train", entry.train))


def _with_key(key: str) -> list[StoredArtifact]:
    """The artifacts of `NAMING` with this key, or else with keys that begin so: one at least."""
    made = [made for stage in NAMING for made in store.stored(stage)]
    made.sort(key=lambda made: made.record["started"])
    return key_lookup.match(made, key, "Or name a folder, champion, newest or previous")


def _evaluation(made: StoredArtifact) -> StoredArtifact | None:
    """The evaluation that an artifact of `NAMING` means."""
    root = made.folder.parent.parent
    if made.stage == "evaluate":
        return made
    if made.stage == "report":
        return _source(root, "evaluate", made.inputs.get("evaluate"), made)
    of_model = [found for found in store.stored("evaluate", root) if found.inputs.get("train") == made.record["digest"]]
    return of_model[-1] if of_model else None


def _source(root: Path, stage: str, digest: str | None, user: StoredArtifact) -> StoredArtifact | None:
    """The artifact of `stage` with these outputs that was the newest when `user` was made."""
    equal = [made for made in store.stored(stage, root) if made.record["digest"] == digest]
    earlier = [made for made in equal if made.record["started"] <= user.record["started"]]
    chosen = earlier or equal[:1]
    return chosen[-1] if chosen else None
