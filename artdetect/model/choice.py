"""Which model judges a person's pictures: the champion, else the newest own model, else the starter.

A demonstration model, trained on a data set that is there for trying the software, judges them only if it is named.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from artdetect.artifacts import file_names, registry, store
from artdetect.core import digests, paths
from artdetect.core.errors import ModelError
from artdetect.model import head_file
from artdetect.model.card import is_demonstration, read_card

if TYPE_CHECKING:
    from artdetect.model.detector import Detector

STARTER_FILE = paths.starter()
STARTER, DEMO = Path("starter"), Path("demo")  # what may be named in place of a path
STARTER_ENTRIES = ("name", "starter")  # of its card: its name, and its record
ROLES = {
    "champion": "the champion",
    "newest": "the newest own one",
    "starter": "the starter that comes with artdetect",
    "named": "named by its path",
    "demo": "the newest demonstration",
}
Role = Literal["champion", "newest", "starter", "named", "demo"]


@dataclass(frozen=True)
class Choice:
    """A chosen model.

    Args:
        path: An artifact folder or a model file.
        role: Why it was chosen, one of `ROLES`.
        key: The key of its artifact of stage train; None where it is not chosen from those.
    """

    path: Path
    role: Role
    key: str | None = None


def choose(named: Path | None = None) -> Choice:
    """The model to use.

    Args:
        named: An artifact folder, a model file, `STARTER` or `DEMO`, the newest demonstration model; by default the
            champion, else the newest model that is not a demonstration, else the starter.

    Raises:
        ModelError: There is no such model, the champion is damaged, or nothing but a demonstration model is there.
        ArtifactError: The file of the champion is damaged.
    """
    if named is None:
        return _default()
    if named == STARTER:
        if starter := _starter():
            return starter
        raise ModelError("--model starter: this copy of artdetect has no starter model. `make starter` trains one")
    if named == DEMO:
        if key := next(_newest(demonstration=True), None):
            return Choice(store.place("train", key), "demo", key)
        raise ModelError("--model demo: there is no demonstration model. `make demo` trains one")
    return Choice(named, "named")


def _default() -> Choice:
    if folder := registry.champion_model():
        if _is_demonstration(folder):
            raise _refusal("the champion", folder.name)
        return Choice(folder, "champion", folder.name)
    if key := next(_newest(demonstration=False), None):
        return Choice(store.place("train", key), "newest", key)
    if starter := _starter():
        return starter
    if key := next(_newest(demonstration=True), None):
        raise _refusal("the only model", key)
    raise ModelError("there is no model yet. Train one with `artdetect run`, or name one with --model")


def _refusal(which: str, key: str) -> ModelError:
    starter = "take the starter with --model starter, " if _starter() else ""
    return ModelError(
        f"{which}, train/{key}, is a demonstration: it learnt from pictures that are there for trying the software, so "
        f"its verdicts on others mean nothing. Train on real pictures with `artdetect run --config FILE`, {starter}or "
        "insist with --model demo"
    )


def _starter() -> Choice | None:
    return Choice(STARTER_FILE, "starter") if STARTER_FILE.is_file() else None


def newest_own() -> str | None:
    """The key of the newest intact model that is no demonstration, or else of the newest demonstration."""
    return next(_newest(demonstration=False), None) or next(_newest(demonstration=True), None)


def _newest(*, demonstration: bool) -> Iterator[str]:
    """The keys of the intact models that are demonstrations, or are not, the newest first."""
    for artifact in reversed(store.stored("train")):
        if _is_demonstration(artifact.folder) == demonstration and store.verify("train", artifact.key) is None:
            yield artifact.key


def _is_demonstration(folder: Path) -> bool:
    try:
        return is_demonstration(read_card(folder / file_names.MODEL))
    except ModelError:  # to use it says what is wrong with it
        return False


def publish_starter() -> str | None:
    """Make the starter an artifact of stage train, so that it can be evaluated, promoted and returned to.

    Returns:
        The artifact's key, the same for the same starter; None where there is no starter.

    Raises:
        ModelError: The starter is damaged.
    """
    import numpy as np
    from filelock import FileLock

    if not STARTER_FILE.is_file():
        return None
    card = read_card(STARTER_FILE)
    config = {name: card[name] for name in ("preset", "name") if name in card}
    parts = {"config": config, "inputs": {"starter": digests.file_digest(STARTER_FILE)}}
    key = digests.value_digest({"stage": "train", **parts})[:16]
    with FileLock(store.lock_file("train", key)):
        if store.find("train", key) is None:
            with store.build("train", key, parts) as out:
                shutil.copyfile(STARTER_FILE, out / file_names.MODEL)
                if posterior := head_file.extra_arrays(STARTER_FILE):
                    np.savez(out / file_names.PRECISION, **posterior)  # type: ignore[arg-type]
    return key


def introduction(detector: "Detector", role: Role, key: str | None) -> list[str]:
    """What a person must know of a model before its verdicts, a line each; with text from outside, as it is.

    Args:
        detector: The model.
        role: Why it was chosen, see `Choice`.
        key: The key of its artifact, likewise.
    """
    lines = [f"model {detector.id}: {ROLES[role]}{f', train/{key}' if key else ''}"]
    if detector.demonstration:
        lines[0] += (
            ". It is a demonstration: it learnt from pictures that are there for trying the software, so its verdicts "
            "on others mean nothing"
        )
    if detector.notice:
        lines.append(f"model {detector.id}: its training data say: {' '.join(detector.notice.split())}")
    if detector.runtime.name == "tensorflow":
        lines.append(f"model {detector.id}: it has no ONNX graphs, so TensorFlow answers, which takes longer to start")
    return lines
