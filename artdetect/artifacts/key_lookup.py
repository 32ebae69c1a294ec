"""An artifact by the first characters of its key, as a person types it."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from artdetect.core.errors import ArtifactError, ConfigError

MIN_PREFIX = 4  # characters of a key that may stand for it
MAX_LISTED = 8  # candidates in a message


class HasKey(Protocol):
    """What has a stage and a key."""

    @property
    def stage(self) -> str: ...

    @property
    def key(self) -> str: ...


Found = TypeVar("Found", bound=HasKey)


def resolve(candidates: Sequence[Found], key: str, see: str) -> Found:
    """The one with this key, or else the only one whose key begins so; errors as of `fitting` and `several`."""
    found = match(candidates, key, see)
    if len(found) > 1:
        raise ambiguous(found, key)
    return found[0]


def match(candidates: Sequence[Found], key: str, see: str) -> list[Found]:
    """The one with this key, or else those whose key begins so: one at least.

    Args:
        candidates: The oldest first; the newest are listed in a message.
        see: What to do to find the right one, a sentence for the message.

    Raises:
        ArtifactError: none fits.
        ConfigError: too few characters.
    """
    if exact := [one for one in candidates if one.key == key]:
        return exact
    if len(key) < MIN_PREFIX:
        raise ConfigError(f"{key!r}: give {MIN_PREFIX} characters of a key at least. {see}")
    if found := [one for one in candidates if one.key.startswith(key)]:
        return found
    raise ArtifactError(f"{key}: no such key. There are: {format_keys(candidates[::-1]) or 'none yet'}. {see}")


def ambiguous(found: Sequence[HasKey], key: str) -> ArtifactError:
    """The error that says that all of these fit."""
    return ArtifactError(f"{key}: could be {format_keys(found)}. Give more characters")


def format_keys(names: Sequence[HasKey]) -> str:
    """The first of these for a message."""
    more = ["…"] if len(names) > MAX_LISTED else []
    return ", ".join([f"{one.stage}/{one.key}" for one in names[:MAX_LISTED]] + more)
