"""Pins: artifacts that a person wants to keep, with everything they were made from, in `artifacts/pins.json`."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from artdetect.artifacts import key_lookup, run_ledger
from artdetect.core import atomic, paths
from artdetect.core.errors import ArtifactError
from artdetect.housekeeping import inventory

_HINT = "`artdetect gc --dry-run` lists all artifacts and pins"


class Pin(BaseModel):
    """One pinned artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    key: str
    at: str  # ISO 8601, UTC
    why: str | None = None


_PINS = TypeAdapter(list[Pin])


def file() -> Path:
    """The file that holds the pins."""
    return paths.artifacts() / "pins.json"


def read() -> list[Pin]:
    """All pins, oldest first; ArtifactError if their file is damaged."""
    try:
        return _PINS.validate_json(file().read_bytes())
    except FileNotFoundError:
        return []
    except ValidationError:
        raise ArtifactError(f"{file()}: these are no pins. Repair the file, or delete it and pin again") from None


def pin(key: str, why: str | None = None) -> Pin:
    """Pin an artifact; pin it again to change the reason.

    Args:
        key: The artifact's key, or the first characters of it if no other key begins with them.
        why: The reason, which garbage collection shows.

    Raises:
        ArtifactError, ConfigError: As `key_lookup.resolve`.
    """
    item = key_lookup.resolve(sorted(inventory.items(), key=lambda item: item.at), key, _HINT)
    new = Pin(stage=item.stage, key=item.key, at=run_ledger.now(), why=why)
    _write([*(pin for pin in read() if (pin.stage, pin.key) != (new.stage, new.key)), new])
    return new


def unpin(key: str) -> Pin:
    """Remove the pin with this key, or the only one that begins with it; errors as `pin`."""
    pins = read()
    removed = key_lookup.resolve(pins, key, _HINT)
    _write([pin for pin in pins if pin != removed])
    return removed


def _write(pins: list[Pin]) -> None:
    atomic.write(file(), json.dumps(_PINS.dump_python(pins), indent=1))
