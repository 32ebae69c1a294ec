"""Which artifacts another was made from, and which evaluation a name stands for."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from artdetect.artifacts import key_lookup, registry, store
from artdetect.artifacts.stages import STAGES
from artdetect.artifacts.store import StoredArtifact
from artdetect.core.errors import ArtifactError, ConfigError

BASE = "base"  # the input of an adapted model: the model that it was before
SELECTABLE = ("evaluate", "train", "report")  # stages whose artifacts stand for an evaluation


class Lineage:
    """Finds the artifacts that another was made from.

    A record names its inputs by the digest of their outputs, which several artifacts may share. The source is then
    the newest of them that had been started by that time, or else the oldest.
    """

    def __init__(self, artifacts: Iterable[StoredArtifact]) -> None:
        self._with_digest: dict[str, list[StoredArtifact]] = defaultdict(list)
        for artifact in sorted(artifacts, key=lambda artifact: (artifact.record["started"], artifact.key)):
            self._with_digest[artifact.digest].append(artifact)

    def sources(self, inputs: Mapping[str, str], started: str) -> dict[str, StoredArtifact]:
        """Input name -> the artifact that it was; inputs whose artifact is gone, or that are none, are left out.

        Args:
            inputs: Input name -> digest, as in the record of the artifact that was made from them.
            started: When the build of that artifact started, as in its record.
        """
        found = {}
        for name, digest in inputs.items():
            equal = self._with_digest.get(digest, [])
            if name in STAGES:
                equal = [artifact for artifact in equal if artifact.stage == name]
            if equal:
                earlier = [artifact for artifact in equal if artifact.record["started"] <= started]
                found[name] = earlier[-1] if earlier else equal[0]
        return found

    def ancestors(self, artifact: StoredArtifact) -> dict[str, StoredArtifact]:
        """Stage -> the artifact of that stage that this one was made from, directly or not; this one included.

        What an adapted model was made from is what the model before it was made from.
        """
        found = {artifact.stage: artifact}
        waiting = [artifact]
        while waiting:
            current = waiting.pop()
            for name, source in self.sources(current.inputs, current.record["started"]).items():
                if name == BASE:
                    waiting.append(source)
                elif name in STAGES and name not in found:
                    found[name] = source
                    waiting.append(source)
        return found


def read(root: Path | None = None) -> Lineage:
    """The lineage of all artifacts with a readable record; `root` is another project's artifacts folder."""
    return Lineage(artifact for stage in STAGES for artifact in store.stored(stage, root))


def lineage(evaluation: Path) -> dict[str, StoredArtifact]:
    """Stage -> the artifact of that stage that this evaluation was made from; the evaluation included."""
    return read(evaluation.parent.parent).ancestors(store.read(evaluation))


def of_model(evaluation: Path) -> dict[str, StoredArtifact]:
    """Stage -> the artifact of that stage that the evaluated model was made from; the model included.

    An evaluation may be on other pictures than its model was trained with. Empty where the model is from elsewhere or
    no longer exists.
    """
    artifact, known = store.read(evaluation), read(evaluation.parent.parent)
    model = known.sources(artifact.inputs, artifact.record["started"]).get("train")
    return known.ancestors(model) if model else {}


def lineage_keys(train_key: str) -> dict[str, str]:
    """Stage -> key of the artifacts that a model was made from, and of its newest evaluation, as far as they exist.

    An evaluation may be on other pictures than the model was trained on: where both name a stage, the model's counts.
    """
    found: dict[str, StoredArtifact] = {}
    with suppress(ArtifactError):  # not evaluated, or its evaluation is gone
        found = lineage(find(train_key))
    with suppress(ArtifactError):  # its record is damaged
        found = found | read().ancestors(store.read(store.place("train", train_key)))
    return {stage: artifact.folder.name for stage, artifact in found.items()} | {"train": train_key}


def find(name: str) -> Path:
    """The folder of the evaluation that `name` stands for.

    Args:
        name: `newest`, of the newest model; `previous`, the one before it; `champion`; the folder of an artifact of a
            stage in `SELECTABLE`; or its key or the first characters of it. A model stands for its newest
            evaluation, a report for the one that it shows.

    Raises:
        ArtifactError: No artifact or several match; the message lists the candidates.
        ConfigError: Too few characters, or a folder of a stage that stands for no evaluation.
    """
    if name in ("newest", "previous"):
        newest = _newest()
        return newest.folder if name == "newest" else previous(newest.folder)
    if name == "champion":
        candidates = [_champion()]
    elif os.sep in name or (Path(name) / store.RECORD).is_file():
        candidates = [store.read(Path(name).resolve())]
        if candidates[0].stage not in SELECTABLE:
            raise ConfigError(f"{name}: it is of stage {candidates[0].stage}; name one of {', '.join(SELECTABLE)}")
    else:
        candidates = _with_key(name)
    evaluations = {found.folder for artifact in candidates if (found := _evaluation(artifact))}
    if len(evaluations) > 1:
        raise key_lookup.ambiguous(candidates, name)
    if not evaluations:
        raise ArtifactError(
            f"{key_lookup.format_keys(candidates)}: there is no evaluation of it. Make one with `artdetect run`"
        )
    return next(iter(evaluations))


def previous(evaluation: Path) -> Path:
    """The evaluation in the same folder that comes before this one; ArtifactError if this is the first."""
    folders = [artifact.folder for artifact in _in_order(evaluation.parent.parent)]
    position = folders.index(evaluation) if evaluation in folders else 0
    if position == 0:
        raise ArtifactError(f"evaluate/{evaluation.name}: there is no evaluation before it. Name another to compare it")
    return folders[position - 1]


def _in_order(root: Path | None = None) -> list[StoredArtifact]:
    """The evaluations in the order in which their models were trained; those of one model as they were made.

    A retraining evaluates the champion after the challenger. A model that is from elsewhere or no longer exists counts
    from its evaluation.
    """
    models = Lineage(store.stored("train", root))

    def place(evaluation: StoredArtifact) -> tuple[str, str, str]:
        started = evaluation.record["started"]
        model = models.sources(evaluation.inputs, started).get("train")
        return model.record["started"] if model else started, started, evaluation.key

    return sorted(store.stored("evaluate", root), key=place)


def _newest() -> StoredArtifact:
    evaluations = _in_order()
    if not evaluations:
        raise ArtifactError("there is no evaluation yet. Make one with `artdetect run`")
    return evaluations[-1]


def _champion() -> StoredArtifact:
    promotion = registry.champion()
    if promotion is None:
        raise ArtifactError("there is no champion yet. Make a model the champion with `artdetect promote KEY`")
    return store.read(store.place("train", promotion.train))


def _with_key(key: str) -> list[StoredArtifact]:
    """The artifacts of the stages in `SELECTABLE` whose key is this or begins with it: at least one."""
    artifacts = [artifact for stage in SELECTABLE for artifact in store.stored(stage)]
    artifacts.sort(key=lambda artifact: artifact.record["started"])
    return key_lookup.match(artifacts, key, "Or name a folder, champion, newest or previous")


def _evaluation(artifact: StoredArtifact) -> StoredArtifact | None:
    """The evaluation that an artifact of a stage in `SELECTABLE` stands for."""
    if artifact.stage == "evaluate":
        return artifact
    evaluations = store.stored("evaluate", artifact.folder.parent.parent)
    if artifact.stage == "report":
        return Lineage(evaluations).sources(artifact.inputs, artifact.record["started"]).get("evaluate")
    of_model = [evaluation for evaluation in evaluations if evaluation.inputs.get("train") == artifact.digest]
    return of_model[-1] if of_model else None
