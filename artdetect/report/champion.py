"""Which champion stands beside a model in its report, and which decision of the gate.

The champion is the latest other one, if it was judged on the same pictures. The decision is the newest about the model.
"""

from dataclasses import dataclass
from pathlib import Path

from artdetect.artifacts import file_names, registry, stages, store
from artdetect.artifacts.store import Artifact, StoredArtifact
from artdetect.model.card import model_id_of

CHAMPION = "champion"
SCORES = "champion_scores"
CHAMPION_INPUTS = (CHAMPION, SCORES, "champion_balance", "champion_maps")
INPUTS = (*CHAMPION_INPUTS, stages.GATE.name)
Inputs = dict[str, Artifact | None]


@dataclass(frozen=True)
class Other:
    """A second model, by artifact folders.

    Args:
        scores: Its evaluation.
        model: Its artifact of stage train; None for a model from elsewhere.
        balance: The balance that it was trained on; None where that is not known.
        name: What it is called in headings.
        id: Which model it is.
        maps: The explanations of its verdicts in this evaluation; None where there are none.
    """

    scores: Path
    model: Path | None
    balance: Path | None
    name: str
    id: str
    maps: Path | None = None


def beside(train: Artifact | None, balance: Artifact | None, evaluate: Artifact | None) -> Inputs:
    """The report's inputs `INPUTS`; None where there is nothing to show.

    Beside a model stands the champion; or, if the model is the champion itself, the one before it. So the report of a
    model stays as it is when that model is promoted.

    Args:
        train: The model of the report.
        balance: The balance whose test pictures it was judged on.
        evaluate: Its evaluation.

    Raises:
        ArtifactError: The file of the alias is damaged.
    """
    return _champion(train, balance) | {stages.GATE.name: _decision(train, evaluate)}


def _champion(train: Artifact | None, balance: Artifact | None) -> Inputs:
    found: Inputs = dict.fromkeys(CHAMPION_INPUTS)
    promotions = reversed(registry.active_promotions(registry.history()))
    other = next((promotion for promotion in promotions if train and promotion.train != train.key), None)
    if other is None or balance is None or registry.fault(other):
        return found
    model = store.load("train", other.train)
    scores = _scores(model, balance)
    if model.digest == getattr(train, "digest", None) or scores is None:
        return found
    split, maps = other.artifacts.get("balance"), explanations(model, scores)
    return {
        CHAMPION: model,
        SCORES: scores,
        "champion_balance": store.find("balance", split) if split else None,
        "champion_maps": store.find("explain", maps.key) if maps else None,
    }


def _scores(model: Artifact, balance: Artifact) -> Artifact | None:
    """Its newest evaluation on these test pictures; rather one that has degraded pictures, too."""
    found = _made_from("evaluate", train=model.digest, balance=balance.digest)
    found.sort(key=lambda scores: file_names.ROBUSTNESS in scores.outputs)
    return store.find("evaluate", found[-1].key) if found else None


def _decision(model: Artifact | None, scores: Artifact | None) -> Artifact | None:
    """The newest decision of the gate about this model, as it did in this evaluation."""
    if model is None or scores is None:
        return None
    found = _made_from(stages.GATE.name, challenger=model.digest, challenger_scores=scores.digest)
    return store.find(stages.GATE.name, found[-1].key) if found else None


def explanations(model: Artifact | StoredArtifact, scores: Artifact | StoredArtifact) -> StoredArtifact | None:
    """The newest explanations of a model's verdicts in this evaluation."""
    found = _made_from("explain", train=model.digest, evaluate=scores.digest)
    return found[-1] if found else None


def _made_from(stage: str, **inputs: str) -> list[StoredArtifact]:
    """The artifacts of a stage that have these inputs, by their digests; oldest first."""
    return [artifact for artifact in store.stored(stage) if inputs.items() <= artifact.inputs.items()]


def other(
    champion: Artifact | None, scores: Artifact | None, balance: Artifact | None, maps: Artifact | None
) -> Other | None:
    """The second model of a report, from its inputs `CHAMPION_INPUTS`, in this order."""
    if champion is None or scores is None:
        return None
    trained, explained = (artifact.folder if artifact else None for artifact in (balance, maps))
    return Other(scores.folder, champion.folder, trained, CHAMPION, model_id_of(champion.folder), explained)
