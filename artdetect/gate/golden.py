"""Golden cases: pictures whose predicted class must stay right, whatever else changes.

They are files below data/golden/AI/ and data/golden/human/, one case each. They are not part of any training,
validation or test set; only the gate looks at them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artdetect.core import digests, paths
from artdetect.pictures.labels import CLASSES


@dataclass(frozen=True)
class GoldenSet:
    """A folder of cases, which need not exist. `digest` covers names and contents."""

    folder: Path
    digest: str


def load(folder: Path | None = None) -> GoldenSet:
    """The cases in `folder`, or in data/golden, in their present state."""
    folder = folder or paths.data() / "golden"
    return GoldenSet(
        folder, digests.value_digest({name: digests.file_digest(folder / name) for name in _files(folder)})
    )


def predictions(folder: Path, models: Mapping[str, Path], training: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """Predict each case with each model.

    Args:
        folder: The folder of cases.
        models: Side (champion, challenger) -> the model's artifact.
        training: Side -> sha256s of the pictures that the model was trained on, where they are known.

    Returns:
        cases: name; label; error (why it cannot be read, or None); trained_on (the sides whose model was trained on
        this content); predicted and p_ai, by side, empty with an error.
        outside: files of the folder that lie below neither class, and are no cases.
    """
    names = _files(folder)
    cases = {name: label for name in names if (label := name.partition("/")[0]) in CLASSES and "/" in name}
    rows: dict[str, dict[str, Any]] = {}
    for name, label in cases.items():
        content = digests.file_digest(folder / name)
        sides = [side for side in models if content in training.get(side, ())]
        rows[name] = {"name": name, "label": label, "error": None, "trained_on": sides, "predicted": {}, "p_ai": {}}
    for side, model in models.items() if cases else ():
        from artdetect.model.detector import Detector
        from artdetect.model.predict import predict

        verdicts = predict(Detector.load(model), [folder / name for name in cases])
        for row, verdict in zip(rows.values(), verdicts, strict=True):
            if verdict.error:
                reason = verdict.error.removeprefix(f"{verdict.path}: ")
                row |= {"error": reason, "predicted": {}, "p_ai": {}}
            elif not row["error"]:
                row["predicted"][side], row["p_ai"][side] = verdict.predicted, verdict.p_ai
    return {"cases": list(rows.values()), "outside": [name for name in names if name not in cases]}


def _files(folder: Path) -> list[str]:
    """Relative paths of the files below a folder, without hidden ones, sorted."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts))
