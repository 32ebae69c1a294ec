"""Finds an artifact by the first characters of its key, as a person types them."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from artdetect.core.errors import ArtifactError, ConfigError

MIN_PREFIX = 4  # characters that may stand for a key
MAX_LISTED = 8  # candidates in a message


class HasKey(Protocol):
    """Anything with a stage and a key."""

    @property
    def stage(self) -> str: ...

    @property
    def key(self) -> str: ...


T = TypeVar("T", bound=HasKey)


def resolve(candidates: Sequence[T], key: str, hint: str) -> T:
    """The one candidate with this key, or else the one whose key begins with it.

    Args:
        candidates: Oldest first; a message lists the newest.
        key: A key or the first characters of one.
        hint: A sentence for the message: how to find the right key.

    Raises:
        ArtifactError: No candidate matches, or several do.
        ConfigError: Too few characters.
    """
    found = match(candidates, key, hint)
    if len(found) > 1:
        raise ambiguous(found, key)
    return found[0]


def match(candidates: Sequence[T], key: str, hint: str) -> list[T]:
    """The candidates with this key, or else those whose key begins with it: at least one.

    Args:
        candidates: Oldest first; a message lists the newest.
        key: A key or the first characters of one.
        hint: A sentence for the message: how to find the right key.

    Raises:
        ArtifactError: No candidate matches.
        ConfigError: Too few characters.
    """
    if exact := [candidate for candidate in candidates if candidate.key == key]:
        return exact
    if len(key) < MIN_PREFIX:
        raise ConfigError(f"{key!r}: give at least {MIN_PREFIX} characters of a key. {hint}")
    if found := [candidate for candidate in candidates if candidate.key.startswith(key)]:
        return found
    raise ArtifactError(f"{key}: no such key. There are: {format_keys(candidates[::-1]) or 'none yet'}. {hint}")


def ambiguous(candidates: Sequence[HasKey], key: str) -> ArtifactError:
    """The error for a key that all of these candidates match."""
    return ArtifactError(f"{key}: could be {format_keys(candidates)}. Give more characters")


def format_keys(candidates: Sequence[HasKey]) -> str:
    """The first candidates as `<stage>/<key>`, for a message."""
    more = ["…"] if len(candidates) > MAX_LISTED else []
    return ", ".join([f"{candidate.stage}/{candidate.key}" for candidate in candidates[:MAX_LISTED]] + more)
