"""Which evaluation a name means, and the artifacts that it was made from."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import digests, paths, registry, store
from artdetect.errors import ArtifactError, ConfigError
from artdetect.stages import STAGES

if TYPE_CHECKING:
    import pandas as pd

NAMING = ("evaluate", "train", "report")  # stages whose artifacts name an evaluation
SHORTEST = 4  # characters of a key that may stand for it
LISTED = 8  # candidates in a message
_FIELDS = ("stage", "key", "digest", "parts", "outputs", "started")


@dataclass(frozen=True)
class Built:
    """An artifact's folder, below this project's artifacts or another's, and its record."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """`<stage>/<key>`."""
        return f"{self.record['stage']}/{self.record['key']}"

    @property
    def inputs(self) -> Mapping[str, str]:
        """Input name -> the digest of what it was."""
        return self.record["parts"].get("inputs", {})

    @property
    def outputs(self) -> Mapping[str, Any]:
        """File name -> its bytes and sha256."""
        return self.record["outputs"]

    def table(self, name: str) -> "pd.DataFrame":
        """A Parquet output; ArtifactError if it is missing or does not match the record."""
        import pandas as pd

        path = self.folder / name
        expected = self.outputs.get(name, {}).get("sha256")
        if not path.is_file() or digests.of_file(path) != expected:
            raise ArtifactError(f"{path}: missing, or it differs from its record. Run the pipeline again to rebuild it")
        return pd.read_parquet(path)


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
        return newest.folder if name == "newest" else before(newest.folder)
    if name == "champion":
        named = [_champion()]
    elif os.sep in name or (Path(name) / store.RECORD).is_file():
        named = [_read(Path(name).resolve())]
        if named[0].record["stage"] not in NAMING:
            raise ConfigError(f"{name}: it is of stage {named[0].record['stage']}; name one of {', '.join(NAMING)}")
    else:
        named = _with_key(name)
    meant = {found.folder: found for made in named if (found := _evaluation(made))}
    if len(meant) > 1:
        raise ArtifactError(f"{name}: could be {_listed(named)}. Give more characters, or the folder")
    if not meant:
        raise ArtifactError(f"{_listed(named)}: there is no evaluation of it. Make one with `artdetect run`")
    return next(iter(meant))


def before(evaluation: Path) -> Path:
    """The newest evaluation beside and before this one; ArtifactError if it is the first."""
    beside = [made.folder for made in built(evaluation.parent.parent, "evaluate")]
    place = beside.index(evaluation) if evaluation in beside else 0
    if place == 0:
        raise ArtifactError(f"evaluate/{evaluation.name}: there is no evaluation before it. Name another to compare it")
    return beside[place - 1]


def lineage(evaluation: Path) -> dict[str, Built]:
    """Stage -> the artifact of it that this evaluation was made from, itself too; without those that are gone."""
    root = evaluation.parent.parent
    found = {"evaluate": _read(evaluation)}
    waiting = ["evaluate"]
    while waiting:
        made = found[waiting.pop()]
        for stage, digest in made.inputs.items():
            if stage in STAGES and stage not in found and (source := _source(root, stage, digest, made)):
                found[stage] = source
                waiting.append(stage)
    return found


def built(root: Path, stage: str) -> list[Built]:
    """A stage's artifacts below the artifacts folder `root`, oldest first; those whose record can be read."""
    found = []
    for path in (root / stage).glob(f"[!.]*/{store.RECORD}"):
        with suppress(ArtifactError):
            found.append(_read(path.parent))
    return sorted(found, key=lambda made: (made.record["started"], made.record["key"]))


def _read(folder: Path) -> Built:
    try:
        record = json.loads((folder / store.RECORD).read_text())
    except (OSError, ValueError):
        raise ArtifactError(f"{folder}: there is no artifact with a readable {store.RECORD}") from None
    if not isinstance(record, dict) or not record.keys() >= set(_FIELDS):
        raise ArtifactError(f"{folder}: its {store.RECORD} is not that of an artifact")
    return Built(folder, record)


def _newest() -> Built:
    evaluations = built(paths.artifacts(), "evaluate")
    if not evaluations:
        raise ArtifactError("there is no evaluation yet. Make one with `artdetect run`")
    return evaluations[-1]


def _champion() -> Built:
    entry = registry.champion()
    if entry is None:
        raise ArtifactError("there is no champion yet. Make a model the champion with `artdetect promote KEY`")
    return _read(store.place("train", entry.train))


def _with_key(key: str) -> list[Built]:
    """The artifacts of `NAMING` with this key, or else with keys that begin so: one at least."""
    candidates = [made for stage in NAMING for made in built(paths.artifacts(), stage)]
    if exact := [made for made in candidates if made.folder.name == key]:
        return exact
    if len(key) < SHORTEST:
        raise ConfigError(
            f"{key!r}: give {SHORTEST} characters of a key at least, a folder, champion, newest or previous"
        )
    if not (fitting := [made for made in candidates if made.folder.name.startswith(key)]):
        newest = sorted(candidates, key=lambda made: made.record["started"], reverse=True)
        raise ArtifactError(f"{key}: no such key of {', '.join(NAMING)}. There are: {_listed(newest) or 'none yet'}")
    return fitting


def _listed(candidates: Sequence[Built]) -> str:
    more = ["…"] if len(candidates) > LISTED else []
    return ", ".join([made.name for made in candidates[:LISTED]] + more)


def _evaluation(made: Built) -> Built | None:
    """The evaluation that an artifact of `NAMING` means."""
    root, stage = made.folder.parent.parent, made.record["stage"]
    if stage == "evaluate":
        return made
    if stage == "report":
        return _source(root, "evaluate", made.inputs.get("evaluate"), made)
    of_model = [found for found in built(root, "evaluate") if found.inputs.get("train") == made.record["digest"]]
    return of_model[-1] if of_model else None


def _source(root: Path, stage: str, digest: str | None, user: Built) -> Built | None:
    """The artifact of `stage` with these outputs that was the newest when `user` was made."""
    equal = [made for made in built(root, stage) if made.record["digest"] == digest]
    earlier = [made for made in equal if made.record["started"] <= user.record["started"]]
    chosen = earlier or equal[:1]
    return chosen[-1] if chosen else None
