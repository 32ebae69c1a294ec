"""Pins: artifacts that a person wants kept, with all that they came from, in `artifacts/pins.json`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from artdetect import paths, runs
from artdetect.errors import ArtifactError, ConfigError
from artdetect.housekeeping.inventory import Item, artifacts

SHORTEST = 4  # characters of a key that may stand for it
LISTED = 8  # candidates in a message


class Pin(BaseModel):
    """One pinned artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    key: str
    at: str  # ISO UTC
    why: str | None = None


_PINS = TypeAdapter(list[Pin])
Found = TypeVar("Found", Item, Pin)


def file() -> Path:
    """Where the pins are kept."""
    return paths.artifacts() / "pins.json"


def read() -> list[Pin]:
    """All pins, the oldest first; ArtifactError if their file is damaged."""
    try:
        return _PINS.validate_json(file().read_bytes())
    except FileNotFoundError:
        return []
    except ValidationError:
        raise ArtifactError(f"{file()}: these are no pins. Mend the file, or delete it and pin again") from None


def pin(key: str, why: str | None = None) -> Pin:
    """Pin the artifact with this key, or the only one whose key begins so; a second time to say another why.

    Raises:
        ArtifactError: nothing or several fit; the message lists them.
        ConfigError: too few characters.
    """
    item = _only(artifacts(), key)
    made = Pin(stage=item.stage, key=item.key, at=runs.now(), why=why)
    _write([*(other for other in read() if (other.stage, other.key) != (made.stage, made.key)), made])
    return made


def unpin(key: str) -> Pin:
    """Take the pin off that has this key or begins so; errors as of `pin`."""
    pins = read()
    gone = _only(pins, key)
    _write([other for other in pins if other != gone])
    return gone


def _write(pins: list[Pin]) -> None:
    runs.put(file(), json.dumps(_PINS.dump_python(pins), indent=1))


def _only(candidates: Sequence[Found], key: str) -> Found:
    if len(key) < SHORTEST:
        raise ConfigError(f"{key!r}: give {SHORTEST} characters of a key at least")
    exact = [found for found in candidates if found.key == key]
    fitting = exact or [found for found in candidates if found.key.startswith(key)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(f"{found.stage}/{found.key}" for found in fitting[:LISTED])
    if fitting:
        raise ArtifactError(f"{key}: could be {names}. Give more characters")
    raise ArtifactError(f"{key}: no such key. `artdetect gc --dry-run` lists all artifacts, with what is pinned")
