"""The server that Prefect starts for a run while nothing else runs wants the auth string, too.

It shares its database with `make up`, whose worker would later start what a stranger had left there.
"""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests import PROJECT
from tests.waiting import awaited

PROGRAM = """
import flows
import httpx
from prefect.client.orchestration import get_client

with get_client(sync_client=True) as client:
    print(client.request("POST", "/flows/filter", json={}).status_code)
    for origin in (None, "http://evil.example"):
        headers = {"Origin": origin} if origin else {}
        answer = httpx.post(f"{client.api_url}/flows/filter", json={}, headers=headers)
        print(answer.status_code, answer.headers.get("access-control-allow-origin"))
"""


@pytest.mark.slow
def test_it_answers_to_the_run_and_to_nobody_else(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PYTHONPATH": str(PROJECT), "PREFECT_HOME": str(tmp_path), "PREFECT_LOGGING_LEVEL": "ERROR"}
    environment["PREFECT_PROFILES_PATH"] = str(tmp_path / "none.toml")
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)
    assert done.stdout.splitlines() == ["200", "401 None", "401 None"], done.stderr


@pytest.mark.slow
def test_one_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    """Prefect would try for ever."""
    environment = os.environ | {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""}
    environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{tmp_path}/nowhere/prefect.db"
    program = "import flows; from tasks.engine.connection import connected\nwith connected(): pass"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=PROJECT, env=environment, text=True, capture_output=True, timeout=600)
    assert done.returncode == 1
    said = "artdetect.core.errors.ServerError: Prefect's temporary server does not start; what it says stands above"
    assert done.stderr.splitlines()[-1] == said


@pytest.mark.slow
def test_it_ends_with_a_run_that_is_killed(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PYTHONPATH": str(PROJECT), "PREFECT_HOME": str(tmp_path)}
    environment["PREFECT_PROFILES_PATH"] = str(tmp_path / "none.toml")
    program = """
import flows
from prefect.client.orchestration import get_client
from tasks.engine.connection import connected

with connected(), get_client(sync_client=True) as client:
    print(client.api_url)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-uc", program],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout
        address = run.stdout.readline().strip().rstrip("/")
        assert answers(address)
        run.kill()
    assert awaited(lambda: not answers(address))


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/version", timeout=60).status_code == 401
    except httpx.ConnectError:
        return False
