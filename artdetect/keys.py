"""An artifact by the first characters of its key, as a person types it."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from artdetect.errors import ArtifactError, ConfigError

SHORTEST = 4  # characters of a key that may stand for it
LISTED = 8  # candidates in a message


class Named(Protocol):
    """What has a stage and a key."""

    @property
    def stage(self) -> str: ...

    @property
    def key(self) -> str: ...


Found = TypeVar("Found", bound=Named)


def only(candidates: Sequence[Found], key: str, see: str) -> Found:
    """The one with this key, or else the only one whose key begins so; errors as of `fitting` and `several`."""
    found = fitting(candidates, key, see)
    if len(found) > 1:
        raise several(found, key)
    return found[0]


def fitting(candidates: Sequence[Found], key: str, see: str) -> list[Found]:
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
    if len(key) < SHORTEST:
        raise ConfigError(f"{key!r}: give {SHORTEST} characters of a key at least. {see}")
    if found := [one for one in candidates if one.key.startswith(key)]:
        return found
    raise ArtifactError(f"{key}: no such key. There are: {listed(candidates[::-1]) or 'none yet'}. {see}")


def several(found: Sequence[Named], key: str) -> ArtifactError:
    """The error that says that all of these fit."""
    return ArtifactError(f"{key}: could be {listed(found)}. Give more characters")


def listed(names: Sequence[Named]) -> str:
    """The first of these for a message."""
    more = ["…"] if len(names) > LISTED else []
    return ", ".join([f"{one.stage}/{one.key}" for one in names[:LISTED]] + more)
