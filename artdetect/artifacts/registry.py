"""Which model is used: the champion, an alias that is moved in one step and remembers where it has been.

`artifacts/models/champion.json` holds the champion and the history in one file, so that a kill at any moment leaves
both as they were or both as they are to be. A file that is damaged is an error and never another model.
"""

import getpass
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from artdetect.artifacts import key_lookup, store
from artdetect.core import atomic, paths
from artdetect.core.errors import ArtifactError, ModelError


class Promotion(BaseModel):
    """One move of the alias: a train artifact became the champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: str  # its key
    artifacts: dict[str, str]  # stage -> key of what made and judged it; no gate: it was promoted by hand
    at: str  # ISO, UTC
    by: str
    why: str
    previous: str | None  # the train key of the champion that it replaced
    rolled_back: bool = False  # gone back to, not promoted


class _Alias(BaseModel):
    """The file's content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    champion: Promotion
    history: list[Promotion]  # oldest first; the last is the champion

    @model_validator(mode="after")
    def _agree(self) -> "_Alias":
        if not self.history or self.history[-1] != self.champion:
            raise ValueError("the champion is not the last of the history")
        active_promotions(self.history)
        return self


def alias_file() -> Path:
    """Where the champion and the history stand."""
    return paths.artifacts() / "models" / "champion.json"


def champion() -> Promotion | None:
    """The champion, None where there was never one; ArtifactError where the file is damaged.

    Whether its artifact is still whole is for `champion_model` to say.
    """
    entries = history()
    return entries[-1] if entries else None


def history() -> list[Promotion]:
    """Every move of the alias, oldest first; ArtifactError where the file is damaged."""
    path = alias_file()
    try:
        alias = _Alias.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except ValidationError as error:
        raise ArtifactError(
            f"{path}: damaged ({error.errors()[0]['msg']}), so nobody knows which model is the champion. Put a copy of "
            "it back, or move it away and promote the model to use: `artdetect promote KEY`"
        ) from None
    return alias.history


def active_promotions(entries: list[Promotion]) -> list[Promotion]:
    """The promotions that stand: the last is the champion's, the one before it is what a rollback goes to.

    ValueError where an entry goes back to what was not before it.
    """
    standing: list[Promotion] = []
    for entry in entries:
        if not entry.rolled_back:
            standing.append(entry)
        elif [before.train for before in standing[-2:-1]] == [entry.train]:
            standing.pop()
        else:
            raise ValueError(f"the history goes back to train/{entry.train}, which was not before it")
    return standing


def champion_model() -> Path | None:
    """The champion's artifact folder, None where there was never one.

    ModelError where it is no longer whole, ArtifactError where the alias is damaged.
    """
    entry = champion()
    if entry is None:
        return None
    if fault := store.verify("train", entry.train):
        raise ModelError(
            f"the champion, train/{entry.train}, cannot be used: {fault}. Go back with `artdetect rollback`, promote "
            "another (`artdetect models` lists them), or name a model with --model"
        )
    return store.place("train", entry.train)


def promote(train_key: str, artifacts: Mapping[str, str], by: str, why: str, replacing: str | None = None) -> Promotion:
    """Make a train artifact the champion; the new entry, or the present one where it is the champion already.

    `artifacts`: stage -> key of everything that made and judged it; `replacing`: the champion it was judged against.

    ModelError where the artifact is not whole, or another than `replacing` is the champion by now.
    """
    _check(train_key)
    with _locked():
        entries = history()
        present = entries[-1] if entries else None
        if present and present.train == train_key:
            return present
        if replacing and (present is None or present.train != replacing):
            raise ModelError(
                f"train/{train_key} was judged against train/{replacing}, which is no longer the champion. "
                "Retrain again, or promote it by hand: `artdetect promote KEY`"
            )
        entry = Promotion(
            train=train_key,
            artifacts=dict(artifacts) | {"train": train_key},
            at=_now(),
            by=by,
            why=why,
            previous=present.train if present else None,
        )
        _write([*entries, entry])
    return entry


def rollback(by: str, why: str) -> Promotion:
    """Go back to the champion before the present one, or further back each time; the history only grows.

    ModelError where there is none before it, or its artifact is no longer whole.
    """
    with _locked():
        entries = history()
        standing = active_promotions(entries)
        if len(standing) < 2:
            said = f"train/{standing[0].train} is the first champion" if standing else "there is no champion yet"
            raise ModelError(f"nothing to roll back to: {said}. Promote a model with `artdetect promote KEY`")
        before, present = standing[-2], standing[-1]
        _check(before.train)
        entry = before.model_copy(
            update={"at": _now(), "by": by, "why": why, "previous": present.train, "rolled_back": True}
        )
        _write([*entries, entry])
    return entry


def find(name: str) -> str:
    """The key of the train artifact that `name`, its key or its first characters, means; errors as of `keys.only`."""
    return key_lookup.resolve(store.stored("train"), name, "`artdetect models` lists the models").key


def current_user() -> str:
    """Who runs this: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def _check(train_key: str) -> None:
    if fault := store.verify("train", train_key):
        raise ModelError(f"train/{train_key} cannot be the champion: {fault}. `artdetect models` lists what there is")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextmanager
def _locked() -> Iterator[None]:
    """One process at a time reads and writes; the kernel frees the lock of a killed holder."""
    from filelock import FileLock

    with FileLock(store.lock_file("models", "champion")):
        yield


def _write(entries: list[Promotion]) -> None:
    """Replace the file in one atomic and durable step."""
    alias = {"champion": entries[-1].model_dump(), "history": [entry.model_dump() for entry in entries]}
    atomic.write(alias_file(), json.dumps(alias, indent=1))
