"""Which model is in use: the champion, an alias that moves in one step and records its history.

`artifacts/models/champion.json` holds the champion and the history in one file, so that a kill at any moment leaves
either the old state of both or the new one. A damaged file is an error; no other model is used in its place.

A promotion names the model's key and the digest of its content. A build with the same key and other content does not
replace what was promoted (`protected`), and such content is not used as the champion.
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
    """One move of the alias: a model became the champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: str  # the key of its artifact of stage train
    artifacts: dict[str, str]  # stage -> key of what it was built from and evaluated by; no gate: promoted by hand
    at: str  # ISO 8601, UTC
    by: str
    why: str
    previous: str | None  # the train key of the champion that it replaced
    digest: str | None = None  # of the artifact's content; None: promoted by an earlier version, which did not note it
    rolled_back: bool = False  # True if a rollback brought this model back


class _Alias(BaseModel):
    """The content of the file."""

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
    """The file that holds the champion and the history."""
    return paths.artifacts() / "models" / "champion.json"


def champion() -> Promotion | None:
    """The champion, or None if there was never one; ArtifactError if the file is damaged.

    Does not check the champion's artifact; `champion_model` does.
    """
    promotions = history()
    return promotions[-1] if promotions else None


def history() -> list[Promotion]:
    """Every move of the alias, oldest first; ArtifactError if the file is damaged."""
    path = alias_file()
    try:
        alias = _Alias.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be read ({error.strerror}), so the champion is unknown. Restore a copy of the file, or "
            "move what is there away and promote the model to use: `artdetect promote KEY`"
        ) from None
    except ValidationError as error:
        raise ArtifactError(
            f"{path}: damaged ({error.errors()[0]['msg']}), so the champion is unknown. Restore a copy of the "
            "file, or move it away and promote the model to use: `artdetect promote KEY`"
        ) from None
    return alias.history


def active_promotions(promotions: list[Promotion]) -> list[Promotion]:
    """The promotions that were not rolled back: the last made the champion, a rollback returns to the one before.

    Raises:
        ValueError: A rollback in the history returns to a model that was not the champion before.
    """
    active: list[Promotion] = []
    for promotion in promotions:
        if not promotion.rolled_back:
            active.append(promotion)
        elif [before.train for before in active[-2:-1]] == [promotion.train]:
            active.pop()
        else:
            raise ValueError(f"the history goes back to train/{promotion.train}, which was not before it")
    return active


def champion_model() -> Path | None:
    """The champion's artifact folder, or None if there was never a champion.

    Raises:
        ModelError: The artifact is missing or damaged, or has other content than was promoted.
        ArtifactError: The file of the alias is damaged.
    """
    promotion = champion()
    if promotion is None:
        return None
    if reason := fault(promotion):
        raise ModelError(
            f"the champion, train/{promotion.train}, cannot be used: {reason}. Go back with `artdetect rollback`, "
            "promote another (`artdetect models` lists them), or name a model with --model"
        )
    return store.place("train", promotion.train)


def fault(promotion: Promotion) -> str | None:
    """Why the model that was promoted cannot be used, or None. Puts it back if a killed process had moved it aside."""
    store.recover("train", promotion.train)
    artifact, reason = store.check("train", promotion.train)
    if artifact and promotion.digest not in (None, artifact.digest):
        return (
            f"its content is not what was promoted (digest {artifact.digest[:8]} instead of "
            f"{str(promotion.digest)[:8]}); to use it all the same, promote it"
        )
    return reason


@contextmanager
def protected(stage: str, key: str) -> Iterator[str | None]:
    """The digest of the content of this artifact that must stay, or None; no model is promoted until the block ends.

    It is that of the champion, or of an earlier champion that a rollback can reach.
    """
    if stage != "train":
        yield None
        return
    with _locked():
        digests = [promotion.digest for promotion in active_promotions(history()) if promotion.train == key]
        yield digests[-1] if digests else None


def promote(train_key: str, artifacts: Mapping[str, str], by: str, why: str, replacing: str | None = None) -> Promotion:
    """Make a model the champion.

    Args:
        train_key: The key of the model's artifact of stage train.
        artifacts: Stage -> key of everything that it was built from and evaluated by.
        by: Who promotes the model.
        why: The reason, for the history.
        replacing: The train key of the champion that it was compared with, if it was.

    Returns:
        The new promotion, or the current one if the model is the champion already, with the same content.

    Raises:
        ModelError: The artifact is missing or damaged, or `replacing` is no longer the champion.
    """
    with _locked():  # nobody replaces the content that is promoted here
        artifact, reason = store.check("train", train_key)
        if artifact is None:
            raise _refusal(train_key, reason)
        promotions = history()
        current = promotions[-1] if promotions else None
        if current and current.train == train_key and current.digest in (None, artifact.digest):
            if current.digest is None:
                current = current.model_copy(update={"digest": artifact.digest})
                _write([*promotions[:-1], current])
            return current
        if replacing and (current is None or current.train != replacing):
            raise ModelError(
                f"train/{train_key} was compared with train/{replacing}, which is no longer the champion. "
                "Retrain again, or promote it by hand: `artdetect promote KEY`"
            )
        promotion = Promotion(
            train=train_key,
            artifacts=dict(artifacts) | {"train": train_key},
            at=_now(),
            by=by,
            why=why,
            previous=current.train if current else None,
            digest=artifact.digest,
        )
        _write([*promotions, promotion])
    return promotion


def name_artifacts(train_key: str, artifacts: Mapping[str, str]) -> None:
    """Add artifacts that were built after the promotion, such as the report, to those that the champion's entry names.

    Args:
        train_key: The key of the model; nothing is added if another one is the champion by now.
        artifacts: Stage -> key.
    """
    with _locked():
        promotions = history()
        if promotions and promotions[-1].train == train_key:
            named = promotions[-1].artifacts | dict(artifacts) | {"train": train_key}
            _write([*promotions[:-1], promotions[-1].model_copy(update={"artifacts": named})])


def rollback(by: str, why: str) -> Promotion:
    """Return to the champion before the current one; each further rollback goes one further back.

    The history keeps everything: a rollback is another entry. Returns that entry.

    Raises:
        ModelError: There is no earlier champion, or its artifact is missing or damaged.
    """
    with _locked():
        promotions = history()
        active = active_promotions(promotions)
        if len(active) < 2:
            why_not = f"train/{active[0].train} is the first champion" if active else "there is no champion yet"
            raise ModelError(f"nothing to roll back to: {why_not}. Promote a model with `artdetect promote KEY`")
        before, current = active[-2], active[-1]
        if reason := fault(before):
            raise _refusal(before.train, reason)
        promotion = before.model_copy(
            update={"at": _now(), "by": by, "why": why, "previous": current.train, "rolled_back": True}
        )
        _write([*promotions, promotion])
    return promotion


def find(name: str) -> str:
    """The key of the model whose key is `name` or begins with it; errors as `key_lookup.resolve`."""
    return key_lookup.resolve(store.stored("train"), name, "`artdetect models` lists the models").key


def current_user() -> str:
    """Who runs this process, as `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def _refusal(train_key: str, reason: str | None) -> ModelError:
    return ModelError(f"train/{train_key} cannot be the champion: {reason}. `artdetect models` lists the models")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextmanager
def _locked() -> Iterator[None]:
    """One process at a time changes the file; the kernel frees the lock of a killed process."""
    from filelock import FileLock

    with FileLock(store.lock_file("models", "champion")):
        yield


def _write(promotions: list[Promotion]) -> None:
    """Replace the file in one atomic and durable step."""
    history = [promotion.model_dump() for promotion in promotions]
    alias = {"champion": history[-1], "history": history}
    atomic.write(alias_file(), json.dumps(alias, indent=1))
