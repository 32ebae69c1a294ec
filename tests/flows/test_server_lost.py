"""Prefect's server is killed during a training, or its database locked: nothing that was built is lost."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from artdetect.artifacts import store
from benchmarks.deployed_project import eventually, free_port

from .conftest import FROM_TRAIN, STAGES, finish, outcome, read_to, start

pytestmark = pytest.mark.slow
OTHER = ("--set", "train.seed=7")
LOCKED_SECONDS = 20


class Server:
    """A server with a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "prefect.db"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{self._port}/api"

    def start(self) -> None:
        """It answers when this returns."""
        command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self._port), "--no-ui"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=os.environ | {"PREFECT_HOME": str(self.database.parent), "PREFECT_API_URL": self.address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert eventually(self._answers, 300)

    def kill(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health", timeout=10).is_success
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


def restarted(server: Server) -> None:
    server.kill()
    server.start()


def locked(server: Server) -> None:
    """As a backup or a person with sqlite3 does."""
    connection = sqlite3.connect(server.database, timeout=60)
    connection.execute("BEGIN EXCLUSIVE")
    time.sleep(LOCKED_SECONDS)
    connection.close()


@pytest.mark.parametrize(
    ("disturb", "codes"),
    [(restarted, {0, 2}), (locked, {0, 2}), (Server.kill, {2})],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_a_run_goes_on_or_says_why_not_and_the_next_one_ends(
    disturb: Callable[[Server], None],
    codes: set[int],
    own_server: Server,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    run = start(copy, own_server.address, "run", "--json", *OTHER)
    read_to(run, "train runs")
    disturb(own_server)
    log = run.communicate()[1]
    assert run.returncode in codes, log
    if run.returncode == 2:
        # Prefect's own complaints about lost logs end without a newline
        assert re.search(r"artdetect: Prefect's server .*Finished stages are kept", log), log
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(copy / "artifacts"))
    for stage in STAGES:
        for artifact in store.stored(stage):
            assert store.verify(stage, artifact.key) is None

    restarted(own_server)
    ran, _ = finish(start(copy, own_server.address, "run", "--json", *OTHER))
    assert set(ran) <= set(FROM_TRAIN)
    assert outcome(copy, own_server.address, "status", *OTHER) == {}
    assert sqlite3.connect(own_server.database).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    record_property("tries", 1)
