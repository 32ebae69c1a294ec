"""A config over a small data set whose pictures have been read, and ways to give pictures."""

import json
import os
import time
from pathlib import Path

import pytest

from artdetect import config as configs
from artdetect import download
from artdetect.artifacts import stages, store
from artdetect.config import Config
from artdetect.index import scan
from tests.tiny_dataset import data_set, write

OLD = 10_000  # seconds: long settled, and beyond patience


@pytest.fixture
def config(roots: Path) -> Config:
    """Over a data set of 24 pictures that an index knows."""
    found = configs.parse({"download": {"url": str(data_set(roots / "art"))}})
    plan = stages.plan(stages.STAGES["download"], found.download, download.fingerprint(found.download))
    with store.build("download", str(plan.key), plan.parts) as out:
        download.run(found.download, out)
    scan.scan(roots / "art")
    return found


def drop(roots: Path, name: str, content: bytes, age: float = OLD) -> Path:
    """A file in the inbox, last changed `age` seconds ago."""
    path = write(roots / "data" / "inbox" / name, content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def stored(roots: Path) -> list[str]:
    """The pictures in data/incoming."""
    folder = roots / "data" / "incoming"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))


def provenance(roots: Path) -> list[dict]:
    """All of it, oldest first."""
    files = sorted((roots / "data" / "incoming" / "provenance").glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def files(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
