"""A copy of the project after `make up`, with a real server, a real worker, and its own ports."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.browser import Page

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = "site.toml"
# For the pictures of `tests.tiny_dataset`: seconds per stage, and a gate that only requires more than chance.
SMALL = """
download.url = "data/raw/art"
evaluate.bootstrap_resamples = 100
evaluate.robustness_pictures = 0
[train]
preset = "notebook"
epochs = 3
[explain]
pictures_per_group = 0
steps = 2
algorithm = "fast"
[retrain]
min_new_pictures = 5
[gate]
max_drop_known = 1
max_drop_since_first = 1
min_gain_new = -1
max_ece_rise = 1
"""
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Site:
    """A project in `folder` whose server listens on `port`."""

    def __init__(self, folder: Path, port: int):
        self.folder = folder
        self.dashboard = f"http://127.0.0.1:{port}"
        own = ("ARTDETECT_", "PREFECT_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        python_path = os.pathsep.join(filter(None, [str(folder), inherited.get("PYTHONPATH")]))
        self.environment = inherited | {"ARTDETECT_PORT": str(port), "PYTHONPATH": python_path, "NO_COLOR": "1"}

    @property
    def auth_string(self) -> str:
        """User name and password of the server, with a colon between them."""
        return (self.folder / ".prefect" / "auth-string").read_text().strip()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer of the server's API to a request with the auth string."""
        user, password = self.auth_string.split(":")
        return httpx.request(method, f"{self.dashboard}/api/{path}", auth=(user, password), timeout=90, **options)

    def log_in(self, page: Page) -> None:
        """Open the dashboard in a new browser and give it the password."""
        page.open(self.dashboard, lambda text: "Login" in text)
        page.enter(self.auth_string)
        page.wait(lambda text: "Deployments" in text)

    def do(self, *command: str | Path, code: int = 0) -> str:
        """Run `python -m …` in the project; returns its output. AssertionError if the exit code is not `code`."""
        done = subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def client(self) -> "SyncPrefectClient":
        """Prefect's client, which retries if SQLite was busy."""
        from prefect.client.orchestration import SyncPrefectClient

        return SyncPrefectClient(f"{self.dashboard}/api", auth_string=self.auth_string)

    def start(self, deployment: str, **parameters: Any) -> None:
        """Start a run of a deployment, "flow/name", as the dashboard does, and do not wait for it."""
        with self.client() as client:
            found = client.read_deployment_by_name(deployment)
            client.create_flow_run_from_deployment(found.id, parameters=parameters)

    def query(self, table: str, **filters: Any) -> list[dict[str, Any]]:
        """Rows of a table from the server's API."""
        return self.request("POST", f"{table}/filter", json=filters).raise_for_status().json()

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """The flow's runs, oldest first, without those that its schedule has yet to start."""
        found = self.query("flow_runs", flows={"name": {"any_": [flow]}}, sort="EXPECTED_START_TIME_ASC")
        return [run for run in found if not (run["state_type"] == "SCHEDULED" and run["auto_scheduled"])]

    def tasks(self, run: dict[str, Any]) -> dict[str, str]:
        """Task name -> state name, for each task of a run."""
        return {task["name"]: task["state_name"] for task in self._tasks(run)}

    def seconds(self, run: dict[str, Any]) -> dict[str, float]:
        """Task name -> duration, for each task of a run."""
        return {task["name"]: task["total_run_time"] for task in self._tasks(run)}

    def _tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        return self.query("task_runs", flow_runs={"id": {"any_": [run["id"]]}})

    def artifacts(self, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Key -> what the run shows on the dashboard."""
        found = self.query("artifacts", artifacts={"flow_run_id": {"any_": [run["id"]]}})
        return {artifact["key"]: artifact for artifact in found}

    def log(self) -> str:
        """The end of the worker's log."""
        return (self.folder / ".prefect" / "worker.log").read_text()[-5000:]


@contextmanager
def site(folder: Path, config: str) -> Iterator[Site]:
    """A copy of this project in `folder` whose services run until the block ends.

    Args:
        folder: A folder that does not contain the project yet.
        config: The TOML text of the config that the deployments use.
    """
    for part in ("artdetect", "flows", "tasks", "configs"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    shutil.copy(PROJECT / "prefect.yaml", folder)
    (folder / "artdetect.toml").write_text(f'config = "{CONFIG}"\n')
    (folder / CONFIG).write_text(config)
    up = Site(folder, free_port())
    try:
        up.do("artdetect.services", "up")
        yield up
    finally:
        up.do("artdetect.services", "down")


def eventually(condition: Callable[[], bool], seconds: float = 300) -> bool:
    """Whether a condition becomes true within so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True


def free_port() -> int:
    """A free port; the one after it is free, too."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
