"""A config over a small data set that was scanned, and helpers to add pictures."""

import json
import os
import time
from pathlib import Path

import pytest

from artdetect import config as configs
from artdetect import download, plans
from artdetect.artifacts import store
from artdetect.config import Config
from artdetect.index import scan
from tests.tiny_dataset import data_set, write

OLD = 10_000  # seconds; settled, and old enough to be rejected if unreadable


@pytest.fixture
def config(roots: Path) -> Config:
    """A config over a data set of 24 pictures that was scanned."""
    found = configs.parse({"download": {"url": str(data_set(roots / "art"))}})
    plan = plans.plan("download", found.download, {})
    with store.build("download", str(plan.key), plan.parts) as out:
        download.run(found.download, out)
    scan.scan(roots / "art")
    return found


def drop(roots: Path, name: str, content: bytes, age: float = OLD) -> Path:
    """Write a file to the inbox, last changed `age` seconds ago."""
    path = write(roots / "data" / "inbox" / name, content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def stored(roots: Path) -> list[str]:
    """The pictures in data/incoming."""
    folder = roots / "data" / "incoming"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))


def provenance(roots: Path) -> list[dict]:
    """All provenance records, oldest first."""
    files = sorted((roots / "data" / "incoming" / "provenance").glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def files(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
