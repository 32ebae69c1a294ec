"""A copy of the project that is up, as `make serve-up` leaves it: real server, real worker, ports of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = "site.toml"
# For `tests.tiny_dataset` pictures: seconds a stage, and a gate that only asks for more than chance.
SMALL = """
download.url = "data/raw/art"
evaluate.resamples = 100
evaluate.robustness = 0
[train]
preset = "notebook"
epochs = 3
[explain]
per_rule = 0
steps = 2
algorithm = "fast"
[retrain]
least = 5
[gate]
old = 1
drift = 1
new = -1
calibration = 1
"""
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Site:
    """A project in `folder` whose server listens on `port`."""

    def __init__(self, folder: Path, port: int):
        self.folder = folder
        self.dashboard = f"http://127.0.0.1:{port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARTDETECT_", "PREFECT_"))}
        self.environment = kept | {"ARTDETECT_PORT": str(port), "PYTHONPATH": str(folder), "NO_COLOR": "1"}

    def do(self, *command: str | Path, code: int = 0) -> str:
        """Run `python -m …` in the project; what it printed. AssertionError on another exit code."""
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

    def start(self, deployment: str, **parameters: Any) -> None:
        """A run of a deployment, "flow/name", as the dashboard starts it; without a wait."""
        from prefect.client.orchestration import SyncPrefectClient

        with SyncPrefectClient(f"{self.dashboard}/api") as client:  # asks again where SQLite was busy
            found = client.read_deployment_by_name(deployment)
            client.create_flow_run_from_deployment(found.id, parameters=parameters)

    def ask(self, what: str, **filters: Any) -> list[dict[str, Any]]:
        """Rows of the server's API."""
        answer = httpx.post(f"{self.dashboard}/api/{what}/filter", json=filters, timeout=90)
        answer.raise_for_status()
        return answer.json()

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """The flow's runs but those of its schedule that are still to come, the oldest first."""
        found = self.ask("flow_runs", flows={"name": {"any_": [flow]}}, sort="EXPECTED_START_TIME_ASC")
        return [run for run in found if not (run["state_type"] == "SCHEDULED" and run["auto_scheduled"])]

    def tasks(self, run: dict[str, Any]) -> dict[str, str]:
        """The name of each task of a run, and of its state."""
        return {task["name"]: task["state_name"] for task in self._tasks(run)}

    def seconds(self, run: dict[str, Any]) -> dict[str, float]:
        """How long each task of a run took."""
        return {task["name"]: task["total_run_time"] for task in self._tasks(run)}

    def _tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        return self.ask("task_runs", flow_runs={"id": {"any_": [run["id"]]}})

    def artifacts(self, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """What the run shows on the dashboard, by key."""
        found = self.ask("artifacts", artifacts={"flow_run_id": {"any_": [run["id"]]}})
        return {artifact["key"]: artifact for artifact in found}

    def log(self) -> str:
        """The end of what the worker wrote."""
        return (self.folder / ".prefect" / "worker.log").read_text()[-5000:]


@contextmanager
def site(folder: Path, config: str) -> Iterator[Site]:
    """A copy of this project in `folder`, up, with `config` (TOML) as what its deployments work on; down afterwards."""
    for part in ("artdetect", "flows", "tasks", "configs"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    deployments = (PROJECT / "prefect.yaml").read_text()
    assert "configs/sample.toml" in deployments
    (folder / "prefect.yaml").write_text(deployments.replace("configs/sample.toml", CONFIG))
    (folder / CONFIG).write_text(config)
    up = Site(folder, _port())
    try:
        up.do("artdetect.services", "up")
        yield up
    finally:
        up.do("artdetect.services", "down")


def eventually(found: Callable[[], bool], seconds: float = 120) -> bool:
    """Whether it comes true within so many seconds."""
    until = time.monotonic() + seconds
    while not found():
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True


def _port() -> int:
    """A port that is free, as is the one after it."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
