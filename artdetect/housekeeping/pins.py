"""Pins: artifacts that a person wants kept, with all that they came from, in `artifacts/pins.json`."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from artdetect.artifacts import key_lookup, run_ledger
from artdetect.core import atomic, paths
from artdetect.core.errors import ArtifactError
from artdetect.housekeeping.inventory import artifacts

SEE = "`artdetect gc --dry-run` lists all artifacts, with what is pinned"


class Pin(BaseModel):
    """One pinned artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    key: str
    at: str  # ISO UTC
    why: str | None = None


_PINS = TypeAdapter(list[Pin])


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

    Errors as of `keys.only`.
    """
    item = key_lookup.resolve(sorted(artifacts(), key=lambda item: item.at), key, SEE)
    made = Pin(stage=item.stage, key=item.key, at=run_ledger.now(), why=why)
    _write([*(other for other in read() if (other.stage, other.key) != (made.stage, made.key)), made])
    return made


def unpin(key: str) -> Pin:
    """Take the pin off that has this key or begins so; errors as of `pin`."""
    pins = read()
    gone = key_lookup.resolve(pins, key, SEE)
    _write([other for other in pins if other != gone])
    return gone


def _write(pins: list[Pin]) -> None:
    atomic.write(file(), json.dumps(_PINS.dump_python(pins), indent=1))
