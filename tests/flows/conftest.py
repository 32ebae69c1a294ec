"""A finished base run that tests copy and change, and the command line of a copied project."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from artdetect import config as configs
from artdetect import services
from artdetect.config import Config
from tests import PROJECT
from tests.waiting import awaited

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import Artifact

STAGES = ["download", "index", "audit", "balance", "train", "evaluate", "explain", "report"]
FROM_TRAIN = ["train", "evaluate", "explain", "report"]


def small(folder: Path, explained: int = 0, robustness: int = 0, **train: object) -> Config:
    """A pipeline that takes seconds, over a folder of pictures."""
    return configs.parse(
        {
            "download": {"url": str(folder)},
            "train": {"preset": "notebook", "epochs": 1, **train},
            "evaluate": {"bootstrap_resamples": 100, "robustness_pictures": robustness},
            "explain": {
                "pictures_per_group": explained,
                "steps": 2,
                "algorithm": "fast",
                "resolution": 128,
                "quality_pictures": 2,
            },
        }
    )


def run(config: Config, refresh: tuple[str, ...] = ()) -> dict[str, str]:
    """Run the flow; the stages that ran, each with its reason."""
    from flows.pipeline import pipeline

    return {run.stage: run.why for run in pipeline(config, refresh=list(refresh)) if run.ran}


def artifacts(run_id: object) -> "list[Artifact]":
    """What a flow run left on the dashboard."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=chosen)


def events(name: str, mentioned: object, expected: int = 1) -> list[dict[str, Any]]:
    """The events with this name that mention this text, say a run's id: the server stores them behind the request."""
    from prefect.client.orchestration import get_client

    def found() -> list[dict[str, Any]]:
        chosen = {"filter": {"event": {"name": [name]}}}
        with get_client(sync_client=True) as client:
            stored = client.request("POST", "/events/filter", json=chosen).json()["events"]
        return [event for event in stored if str(mentioned) in json.dumps(event)]

    return awaited(found, lambda events: len(events) >= expected)


def task_states(run_id: object, expected: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Name and type of the state of each task of a flow run, by its name, once those `expected` are as they should be.

    The server records them behind the run, and its SQLite can make it wait a minute.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    def found() -> dict[str, tuple[str, str]]:
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
        with get_client(sync_client=True) as client:
            runs = client.read_task_runs(flow_run_filter=chosen)
        return {run.name: (run.state.name, run.state.type.value) for run in runs if run.state}

    return awaited(found, lambda states: expected.items() <= states.items())


@pytest.fixture
def client(server: str, roots: Path) -> "Iterator[SyncPrefectClient]":
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def deployment(client: "SyncPrefectClient") -> Any:
    """A deployment of which one run may be active, as in prefect.yaml."""
    from prefect.client.schemas.actions import WorkPoolCreate

    client.create_work_pool(WorkPoolCreate(name=services.POOL, type="process"), overwrite=True)
    flow = client.create_flow_from_name("ingest")
    made = client.create_deployment(flow, f"watch-{uuid4()}", concurrency_limit=1, work_pool_name=services.POOL)
    yield made
    client.delete_deployment(made)


@pytest.fixture(scope="session")
def base(server: str, unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with data/ and artifacts/ of a finished run."""
    root = tmp_path_factory.mktemp("base")
    shutil.copytree(unpacked, root / "data" / "raw" / "drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(root / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
        assert list(run(small(root / "data" / "raw" / "drawn"))) == STAGES
        yield root


@pytest.fixture
def pictures(base: Path, roots: Path) -> Path:
    """The pictures of this test's own copy of the base."""
    for part in ("data", "artifacts"):
        shutil.copytree(base / part, roots / part)
    return roots / "data" / "raw" / "drawn"


@pytest.fixture
def small_file(pictures: Path, roots: Path) -> Path:
    """The small pipeline over this test's pictures, as the command line takes it."""
    file = roots / "small.toml"
    file.write_text(configs.dump(small(pictures)), encoding="utf-8")
    return file


@pytest.fixture
def copy(base: Path, server: str, tmp_path: Path) -> Path:
    """A copy of the whole project with the base's data and artifacts in their default places."""
    folder = tmp_path / "project"
    for part in ("artdetect", "flows", "tasks", "configs"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    for part in ("data", "artifacts"):
        shutil.copytree(base / part, folder / part)
    (folder / "small.toml").write_text(
        'download.url = "data/raw/drawn"\nevaluate.bootstrap_resamples = 100\nevaluate.robustness_pictures = 0\n'
        '[train]\npreset = "notebook"\nepochs = 1\n'
        '[explain]\npictures_per_group = 0\nsteps = 2\nalgorithm = "fast"\nresolution = 128\nquality_pictures = 2\n'
    )
    return folder


def start(project: Path, server: str, *arguments: str) -> "subprocess.Popen[str]":
    """The command line of a copied project, with its config, started from an unrelated folder."""
    return start_command(project, server, *arguments, "--config", str(project / "small.toml"))


def start_command(project: Path, server: str, *arguments: str) -> "subprocess.Popen[str]":
    """The same for commands that take no config."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ARTDETECT_")}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(project), environment["PYTHONPATH"]]
    )  # is watched as all tests are
    return subprocess.Popen(
        [sys.executable, "-m", "artdetect.cli", *arguments],
        cwd="/",
        env=environment | {"PREFECT_API_URL": server, "PREFECT_HOME": str(project / ".prefect")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[dict[str, str], str]:
    """Stage -> reason of all that are not current (status) or that ran (run), and the log."""
    output, log = process.communicate()
    assert process.returncode in (0, 1), log
    stages = json.loads(output)["stages"]
    return {s["stage"]: s["why"] for s in stages if s["state"] not in ("current", "cached")}, log


def outcome(project: Path, server: str, *arguments: str) -> dict[str, str]:
    return finish(start(project, server, *arguments, "--json"))[0]


def read_to(process: "subprocess.Popen[str]", words: str) -> str:
    """The log up to the line with these words, as soon as they are there."""
    assert process.stderr
    log = ""
    while words not in log:
        line = process.stderr.readline()
        assert line, log
        log += line
    return log


def kill_at(process: "subprocess.Popen[str]", words: str) -> str:
    """kill -9 as soon as the log has these words; the log until then."""
    log = read_to(process, words)
    process.kill()
    process.wait()
    return log
