"""The report's page of any evaluation, with any other beside it: also of a model from elsewhere."""

from collections.abc import Mapping
from pathlib import Path

from artdetect import download, report
from artdetect.artifacts import file_names, lineage, registry, run_ledger, store
from artdetect.artifacts.stages import TRAINED_ON
from artdetect.artifacts.store import StoredArtifact
from artdetect.core.errors import ArtifactError
from artdetect.model.card import model_id_of
from artdetect.monitoring import reproduction
from artdetect.report import champion

STAGES = ("index", "audit", "balance", "train", "evaluate")


def write(file: Path, evaluation: Path, other: Path | None) -> None:
    """Write the page to a file, replacing it.

    Args:
        file: The file.
        evaluation: The evaluation that it is about.
        other: The one whose figures stand beside, if it is of the same test pictures.

    Raises:
        ArtifactError: An artifact behind the evaluation no longer exists.
    """
    made_from = lineage.lineage(evaluation)
    outside = made_from["evaluate"].record["parts"].get("config", {}).get(file_names.OUTSIDE)
    shown = {stage: made_from[stage] for stage in STAGES if stage in made_from and not (outside and stage == "train")}
    if missing := [stage for stage in STAGES if stage not in shown and not (outside and stage == "train")]:
        raise ArtifactError(f"evaluate/{evaluation.name}: its {' and '.join(missing)} no longer exist, so no page")
    if "train" in shown and (maps := champion.explanations(shown["train"], shown["evaluate"])):
        shown["explain"] = maps
    folders = {stage: artifact.folder for stage, artifact in shown.items()}
    if trained := trained_on(evaluation, shown):
        folders[TRAINED_ON] = trained
    raw = _download(evaluation.name)
    pictures = download.folder(raw) if raw and download.check(raw) is None else None
    title = outside or model_id_of(shown["train"].folder)
    report.write_page(
        file,
        title,
        folders,
        pictures,
        _other(other) if other else None,
        reproduction.origin(shown, raw) | ({"command": None} if trained else {}),
    )


def trained_on(evaluation: Path, shown: Mapping[str, StoredArtifact]) -> Path | None:
    """The balance that the model was trained on, where it is another one than that of the evaluation.

    Args:
        evaluation: The evaluation.
        shown: Stage -> artifact, as the page shows them; without train for a model from elsewhere.

    Raises:
        ArtifactError: It no longer exists.
    """
    model = shown.get("train")
    if model is None:
        return None
    trained = lineage.of_model(evaluation).get("balance")
    if trained is None and "balance" in model.inputs:
        raise ArtifactError(
            f"evaluate/{evaluation.name}: the balance that its model was trained on no longer exists, so no page"
        )
    return trained.folder if trained and trained.digest != shown["balance"].digest else None


def _download(evaluation: str) -> Path | None:
    """The artifact of stage download that the newest run with this evaluation used."""
    for run in reversed(run_ledger.read()):
        keys = {use.stage: use.key for use in run.stages}
        if keys.get("evaluate") == evaluation and "download" in keys:
            return store.place("download", keys["download"])
    return None


def _other(evaluation: Path) -> champion.Other:
    parts = lineage.lineage(evaluation)
    outside = parts["evaluate"].record["parts"].get("config", {}).get(file_names.OUTSIDE)
    model, balance = (None, None) if outside else (parts.get("train"), parts.get("balance"))
    promotion = registry.champion()
    maps = champion.explanations(model, parts["evaluate"]) if model else None
    is_champion = bool(promotion and model and model.folder.name == promotion.train)
    trained = lineage.of_model(evaluation).get("balance", balance) if model else None
    return champion.Other(
        evaluation,
        model.folder if model else None,
        trained.folder if trained else None,
        champion.CHAMPION if is_champion else "other model",
        outside or (model_id_of(model.folder) if model else "a model that no longer exists"),
        maps.folder if maps else None,
    )
