"""Golden cases: pictures whose verdict must stay right, whatever else is learnt.

They lie in data/golden/AI/… and data/golden/human/…, each file a case. They train and test nothing by themselves.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artdetect.core import digests, paths
from artdetect.pictures.labels import CLASSES


@dataclass(frozen=True)
class GoldenSet:
    """A folder of cases, whether it exists or not; `digest` is of names and contents."""

    folder: Path
    digest: str


def load(folder: Path | None = None) -> GoldenSet:
    """The cases in `folder`, or in data/golden, as they are now."""
    folder = folder or paths.data() / "golden"
    return GoldenSet(
        folder, digests.value_digest({name: digests.file_digest(folder / name) for name in _files(folder)})
    )


def compared(folder: Path, models: Mapping[str, Path], learnt: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """What each model, by side, calls each case; `learnt`: the sha256s that it learnt from, by side, where known.

    Returns:
        cases: name, label, error (why it cannot be read, or None), learnt (the sides that learnt from this content),
        and called, p_ai: by side, {} with an error;
        outside: files of the folder that lie below neither class, and are no cases.
    """
    names = _files(folder)
    cases = {name: label for name in names if (label := name.partition("/")[0]) in CLASSES and "/" in name}
    rows: dict[str, dict[str, Any]] = {}
    for name, label in cases.items():
        content = digests.file_digest(folder / name)
        by = [side for side in models if content in learnt.get(side, ())]
        rows[name] = {"name": name, "label": label, "error": None, "learnt": by, "called": {}, "p_ai": {}}
    for side, model in models.items() if cases else ():
        from artdetect.model.detector import Detector
        from artdetect.model.predict import predict

        verdicts = predict(Detector.load(model), [folder / name for name in cases])
        for row, verdict in zip(rows.values(), verdicts, strict=True):
            if verdict.error:
                reason = verdict.error.removeprefix(f"{verdict.path}: ")
                row |= {"error": reason, "called": {}, "p_ai": {}}
            elif not row["error"]:
                row["called"][side], row["p_ai"][side] = verdict.called, verdict.p_ai
    return {"cases": list(rows.values()), "outside": [name for name in names if name not in cases]}


def _files(folder: Path) -> list[str]:
    """The files below a folder but hidden ones, by their path from it, sorted."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))
