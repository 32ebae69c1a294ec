"""The watch on a real server: what it takes, what it leaves on the dashboard, and the event that it tells."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from artdetect import config as configs
from artdetect.alerts import FAILED
from artdetect.artifacts import run_ledger
from artdetect.cli import main
from artdetect.config import Config
from flows.ingest import RESOURCE, ingest
from tasks.engine.events import SAMPLES_ADDED
from tests.ingest.conftest import drop
from tests.tiny_dataset import data_set, jpeg, write

from .conftest import PROJECT, artifacts, events, small


@pytest.fixture
def config(server: str, roots: Path) -> Config:
    return small(data_set(roots / "art", train=1, test=1))


def batches(roots: Path) -> list[str]:
    folder = roots / "data" / "incoming" / "provenance"
    return [f"incoming/provenance/{file.name}" for file in folder.glob("*.json")]


def shown(state: Any) -> list[str]:
    """What a flow run left on the dashboard."""
    return [str(found.data) for found in artifacts(state.state_details.flow_run_id)]


def test_the_watch_takes_shows_and_tells_and_is_quiet_with_nothing_to_do(config: Config, roots: Path) -> None:
    drop(roots, "AI/flux/a.jpg", jpeg(900))
    drop(roots, "human/wikiart/b|.jpg", b"<html>")
    state = ingest(config, return_state=True)
    assert state.result() == {"added": 1, "known": 0, "rejected": 1, "left": 0}
    (markdown,) = shown(state)
    assert "| AI/flux | 1 |" in markdown
    assert "b&#124;.jpg: not a picture" in markdown
    (batch,) = batches(roots)
    (event,) = events(SAMPLES_ADDED, batch)
    assert event["resource"]["prefect.resource.id"] == RESOURCE
    payload = event["payload"]
    assert {name: payload[name] for name in ("added", "by_origin", "incoming")} == {
        "added": 1, "by_origin": {"AI/flux": 1}, "incoming": {"AI": 1, "human": 0},
    }  # fmt: skip
    (related,) = event["related"]
    assert related["prefect.resource.id"] == f"prefect.flow-run.{state.state_details.flow_run_id}"
    again = ingest(config, return_state=True)
    assert again.result() == {"added": 0, "known": 0, "rejected": 0, "left": 0}
    assert shown(again) == []
    first, second = run_ledger.read()
    assert (first.flow, first.state, first.facts["ingest"]["added"], first.idle) == ("ingest", "completed", 1, False)
    assert second.idle


@pytest.mark.slow
def test_the_command_tells_a_running_server_before_it_ends_and_does_without_one(
    config: Config, roots: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (roots / "art.toml").write_text(configs.dump(config), encoding="utf-8")

    def arguments(number: int) -> list[str]:
        picture = write(roots / "new" / f"{number}.jpg", jpeg(number))
        given = ["--label", "AI", "--generator", "flux", "--json", "--config", str(roots / "art.toml")]
        return ["ingest", str(picture), *given]

    ended = subprocess.run(
        [sys.executable, "-m", "artdetect.cli", *arguments(900)], cwd=PROJECT, text=True, capture_output=True,
        env=os.environ | {"PREFECT_API_URL": server},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    (batch,) = batches(roots)
    assert len(events(SAMPLES_ADDED, batch)) == 1
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert main(arguments(901)) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["added"] == 1
    assert "does not answer" in printed.err
    assert printed.err.count("\n") == 1
    assert [run.facts["ingest"]["added"] for run in run_ledger.read()] == [1, 1]


@pytest.mark.slow
def test_the_command_tells_of_its_failure_and_of_a_run_that_was_killed(
    config: Config, roots: Path, server: str
) -> None:
    """No event came of a crash that this command was the first to notice."""
    killed = (
        "import os; from artdetect.artifacts.active_runs import ActiveRun; ActiveRun('lost', 'retrain', 'retrain x')"
    )
    subprocess.run([sys.executable, "-c", f"{killed}; os.kill(os.getpid(), 9)"], cwd=PROJECT)
    (roots / "art.toml").write_text(configs.dump(config), encoding="utf-8")
    ingest = ["ingest", str(roots / "nowhere"), "--label", "AI", "--generator", "flux"]
    ended = subprocess.run(
        [sys.executable, "-m", "artdetect.cli", *ingest, "--config", str(roots / "art.toml")], cwd=PROJECT,
        env=os.environ | {"PREFECT_API_URL": server}, capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert [(run.flow, run.state) for run in run_ledger.read()] == [("retrain", "crashed"), ("ingest", "failed")]
    for run in run_ledger.read():
        (event,) = events(FAILED, run.id)
        assert (event["payload"]["flow"], event["payload"]["state"]) == (run.flow, run.state)
