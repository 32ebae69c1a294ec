"""Prefect's database is deleted, damaged or read-only, while its server runs and at the next start.

It holds the dashboard's past alone: models, champion and ledger stay. Each command does its work or says what to do.
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from artdetect.core import digests
from artdetect.core.errors import ServerError
from artdetect.web import database
from benchmarks.deployed_project import CONFIG, SMALL, Site, site
from tests.tiny_dataset import data_set

ADVICE = re.compile(
    r"artdetect: Prefect cannot use its database \S+/prefect\.db \(.+\)\. It has the dashboard's past al"
)
LOST = re.compile(
    r"artdetect: Prefect's server (failed \(HTTP 5\d\d\)|does not know this run any more: it has lost its database)\. "
    "Finished stages are kept. `make up` mends"
)
BOUND = 240  # seconds for any command


@contextmanager
def read_only(file: Path) -> Iterator[None]:
    """Nobody can write the file; skips the test where root cannot be kept from it."""
    if os.geteuid():
        file.chmod(0o400)
        yield
        file.chmod(0o600)
    elif subprocess.run(["chattr", "+i", str(file)], capture_output=True).returncode:
        pytest.skip("root can write any file here")
    else:
        try:
            yield
        finally:
            subprocess.run(["chattr", "-i", str(file)], check=True)


@contextmanager
def damaged(file: Path) -> Iterator[None]:
    """Another program wrote over its beginning."""
    write_over(file)
    yield
    file.rename(file.with_suffix(".away"))


def write_over(file: Path) -> None:
    """And its log is gone, from which SQLite would mend it."""
    for log in file.parent.glob(f"{file.name}-*"):
        log.unlink()
    with file.open("r+b") as content:
        content.write(b"garbage " * 512)


@contextmanager
def replaced_by_a_folder(file: Path) -> Iterator[None]:
    file.rename(file.with_suffix(".away"))
    file.mkdir()
    yield
    file.rmdir()


@contextmanager
def deleted(file: Path) -> Iterator[None]:
    file.unlink()
    yield


Fault = Callable[[Path], AbstractContextManager[None]]


@pytest.mark.parametrize("fault", [damaged, replaced_by_a_folder, read_only], ids=lambda one: one.__name__)
def test_a_file_that_no_server_can_use_is_named_with_what_to_do(tmp_path: Path, fault: Fault) -> None:
    file = tmp_path / "prefect.db"
    assert not database.check(tmp_path)
    file.touch()  # as a server does that has lost it
    assert not database.check(tmp_path)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE flow (id)")
    connection.close()
    assert database.check(tmp_path)
    with fault(file), pytest.raises(ServerError, match="past alone: make it writable, or move it away"):
        database.check(tmp_path)


def test_one_that_someone_else_writes_to_is_sound(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "prefect.db")
    connection.execute("BEGIN EXCLUSIVE")
    assert database.check(tmp_path)
    connection.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("up")
    data_set(folder / "data" / "raw" / "art", train=30, test=12)
    with site(folder, SMALL) as running:
        running.do("artdetect.cli", "run", "--config", CONFIG)
        (model,) = (folder / "artifacts" / "train").glob("*/")
        running.do("artdetect.cli", "promote", model.name, "--reason", "the only one")
        yield running


def done(up: Site, *command: str) -> tuple[int, str]:
    """Exit code and output of a command, which has to end."""
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=up.folder,
        env=up.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BOUND,
    )
    assert "Traceback" not in ended.stdout, ended.stdout
    return ended.returncode, ended.stdout


def run(up: Site) -> tuple[int, str]:
    """A run that has nothing to build, but tells Prefect's server of it."""
    return done(up, "artdetect.cli", "run", "--force", "--config", CONFIG)


def kept(up: Site) -> dict[str, str]:
    """Digest of every file of the artifacts and the champion, and of the runs on record but those of the schedules."""
    folder = up.folder / "artifacts"
    found = {}
    for file in folder.glob("*/**/*"):
        own = file.parent.name != "runs" or (file.suffix == ".json" and '"flow": "pipeline"' in file.read_text())
        if file.is_file() and own:
            found[str(file.relative_to(folder))] = digests.file_digest(file)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [deleted, read_only, damaged],
    ids=lambda one: one.__name__,
)
def test_commands_work_or_say_what_to_do(
    up: Site, fault: Fault, record_property: Callable[[str, object], None]
) -> None:
    """First while the server runs, then after `make down`."""
    before = kept(up)
    with fault(up.folder / ".prefect" / "prefect.db"):
        code, said = run(up)
        assert code == 0 or (code == 2 and LOST.search(said)), said
        code, said = done(up, "artdetect.services", "up")
        if fault is deleted:
            assert code == 0, said
            assert "server: it has lost its database, so it is started again" in said
        else:  # a server that runs may write a sound beginning back
            assert (code, bool(ADVICE.search(said))) == (2, True) or (code, fault) == (0, damaged), said
        done(up, "artdetect.services", "down")
        if fault is damaged:
            write_over(up.folder / ".prefect" / "prefect.db")
        code, said = run(up)
        assert (code, bool(ADVICE.search(said))) == ((0, False) if fault is deleted else (2, True)), said
    code, said = done(up, "artdetect.services", "up")
    assert code == 0, said
    assert kept(up).items() >= before.items()
    assert json.loads(done(up, "artdetect.cli", "models", "--json")[1])[0]["mark"] == "champion"
    record_property("tries", 3)
