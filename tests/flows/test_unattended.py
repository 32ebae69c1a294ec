"""As a newcomer leaves it running: server, deployments and worker of a copied project, started and stopped for real.

One story in the order of the tests: up, a training by hand, its repetition, new samples and what comes of them, down.
"""

import itertools
import json
import os
import re
import signal
import time
from collections.abc import Iterator

import httpx
import pytest
from prefect.states import Cancelling, Pending

from artdetect import alerts
from benchmarks.deployed_project import CONFIG, ENDED, SMALL, Site, eventually, site
from tasks.engine import unrecorded_runs
from tests.tiny_dataset import data_set, jpeg, write

from .conftest import STAGES

pytestmark = pytest.mark.slow
BURST = 3  # ten in benchmarks/unattended.py
NATIVE_CALL = 'import hashlib; hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)'  # takes half an hour


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("up")
    data_set(folder / "data" / "raw" / "art", train=30, test=12)
    with site(folder, SMALL) as running:
        yield running


def test_a_training_by_hand_and_again(up: Site) -> None:
    for _ in range(2):
        assert "Completed" in up.do("prefect", "deployment", "run", "pipeline/train", "--watch")
    first, second = up.runs("pipeline")
    assert first["name"] == second["name"]
    assert re.fullmatch(r"notebook on art: \d+\.\d % right", first["name"])
    cached = dict.fromkeys(STAGES, "Cached")
    assert eventually(lambda: up.tasks(second) == cached), up.tasks(second)
    assert up.tasks(first) == dict.fromkeys(STAGES, "Completed")

    assert next(iter(up.artifacts(second))) == "summary"  # it stands first on the run's page
    shown = {key: artifact["data"] for key, artifact in up.artifacts(second).items()}
    assert {"stages", "metrics", "audit", "model-card"} <= set(shown)
    for name in ("confusion", "reliability"):
        assert "data:image/png;base64" in shown[name]
        assert len(shown[name]) < 200_000
    assert "<html" in httpx.get(shown["report"].split("(")[1].rstrip(")")).text


def test_schedules_have_made_runs(up: Site) -> None:
    """With the wrong SQLAlchemy they silently do not."""
    flows = {flow["id"]: flow["name"] for flow in up.query("flows")}

    def scheduled() -> set[str]:
        found = up.query("flow_runs", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}}, limit=200)
        return {flows[run["flow_id"]] for run in found}

    assert eventually(lambda: {"retrain", "ingest", "housekeeping", "watchdog"} <= scheduled()), scheduled()


def test_up_again_changes_nothing(up: Site) -> None:
    def programs() -> list[list[str]]:
        return [line.split()[:4] for line in up.do("artdetect.services", "status").splitlines()]

    before = programs()
    assert len(before) == 3
    up.do("artdetect.services", "up")
    assert programs() == before
    assert len(up.query("deployments")) == 6


def test_new_samples_retrain_and_the_gate_decides(up: Site) -> None:
    """Ingests in a burst: each event starts a retraining, of which those that find nothing new do nothing."""
    for batch in range(BURST):
        folder = up.folder / "new" / str(batch)
        for number in range(8):
            write(folder / f"{number}.jpg", jpeg((7, batch, number), base=200))
        up.do("artdetect.cli", "ingest", folder, "--label", "AI", "--generator", "flux", "--config", CONFIG)
    assert len(list((up.folder / "data" / "incoming" / "AI" / "flux").rglob("*.jpg"))) == 8 * BURST

    def done() -> bool:
        runs = up.runs("retrain")
        return len(runs) == BURST and all(run["state_type"] in ENDED for run in runs)

    assert eventually(done, 600), (up.runs("retrain"), up.log())
    runs = up.runs("retrain")
    assert {run["state_type"] for run in runs} == {"COMPLETED"}, up.log()
    trained = [run for run in runs if "gate" in up.artifacts(run)]
    assert 1 <= len(trained) <= 2
    times = sorted((run["start_time"], run["end_time"]) for run in runs)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(times))

    tasks = up.tasks(trained[0])
    assert tasks["download"] == "Cached"
    ran = ("index", "train", "evaluate", "evaluate champion", "gate", "explain", "report")
    assert {tasks[name] for name in ran} == {"Completed"}
    gate = up.artifacts(trained[-1])["gate"]["data"]
    assert "flux" in gate
    champion, *others = json.loads(up.do("artdetect.cli", "models", "--json"))
    assert (champion["mark"], {row["key"] for row in others} & {champion["key"]}) == ("champion", set())
    assert f"Promoted {champion['key']} in place of" in gate


def test_a_killed_server_and_a_killed_worker_come_back(up: Site) -> None:
    def processes() -> dict[str, int]:
        lines = up.do("artdetect.services", "status").splitlines()
        return {line.split()[0]: int(pid[1]) for line in lines if (pid := re.search(r"running pid (\d+)", line))}

    before = processes()
    for name in ("server", "worker"):
        os.kill(before[name], signal.SIGKILL)

    def again() -> bool:
        try:
            now = processes()
        except AssertionError:  # its exit code while one is starting
            return False
        return all(now.get(name, before[name]) != before[name] for name in ("server", "worker"))

    def answers() -> bool:
        try:
            return up.request("GET", "health").is_success
        except httpx.HTTPError:
            return False

    assert eventually(again), (before, processes())
    assert eventually(answers), up.log()
    assert "Completed" in up.do("prefect", "deployment", "run", "housekeeping/nightly", "--watch")


def test_a_failure_says_what_to_do(up: Site) -> None:
    up.start("pipeline/train", config="nowhere.toml")

    def failures() -> list[dict]:
        return [run for run in up.runs("pipeline") if run["state_type"] == "FAILED"]

    assert eventually(lambda: len(failures()) == 1), up.log()
    (failed,) = failures()
    assert eventually(lambda: "what-to-do" in up.artifacts(failed)), up.log()
    assert "there is no such config file" in up.artifacts(failed)["what-to-do"]["data"]


def test_a_watched_failure_ends_with_its_reason(up: Site) -> None:
    words = ["prefect", "deployment", "run", "pipeline/train", "--watch", "-p", "config=elsewhere.toml"]
    said = up.do(*words, code=1)
    _, event, after = "".join(said.split()).partition("artdetect.run.failed")  # the terminal breaks lines anywhere
    assert event
    reason, _, end = after.partition("prefect.flow-run.Failed")
    assert "elsewhere.toml:thereisnosuchconfigfile" in reason
    assert end.endswith("Flowrunfinishedinstate'Failed'.")


def test_a_cancelled_run_is_on_record_as_cancelled_and_nobody_is_alerted(up: Site) -> None:
    up.start("pipeline/train", changes=["train.preset=compact"], refresh=["index", "audit"])  # it takes a while

    def run() -> dict:
        return up.runs("pipeline")[-1]

    assert eventually(lambda: run()["state_type"] == "RUNNING" and "download" in up.tasks(run())), (run(), up.log())
    cancelled = run()
    with up.client() as client:
        client.set_flow_run_state(cancelled["id"], Cancelling())
    assert eventually(lambda: run()["state_type"] in ENDED), up.log()
    assert run()["state_type"] == "CANCELLED"
    assert ledger_entry(up, cancelled)["state"] == "cancelled"
    assert eventually(lambda: "Running" not in up.tasks(cancelled).values()), up.tasks(cancelled)
    assert cancelled["id"] not in json.dumps(failures(up))
    assert "what-to-do" not in up.artifacts(cancelled)


def test_a_run_whose_flow_cannot_be_imported_says_why_and_is_recorded(up: Site) -> None:
    file = up.folder / "flows" / "explain.py"
    whole = file.read_text()
    file.write_text(f"{whole}\ndef broken(:\n")
    try:
        said = up.do("prefect", "deployment", "run", "explain/batch", "--watch", "-p", "folder=/nowhere", code=1)
    finally:
        file.write_text(whole)
    assert "SyntaxError:invalidsyntax" in "".join(said.split())
    (crashed,) = up.runs("explain")
    time.sleep(unrecorded_runs.SETTLED.total_seconds())
    assert "Completed" in up.do("prefect", "deployment", "run", "watchdog/every-5-minutes", "--watch")
    run = ledger_entry(up, crashed)
    assert run["state"] == "crashed"
    assert "SyntaxError" in run["error"]
    assert eventually(lambda: crashed["id"] in json.dumps(failures(up)))


def ledger_entry(up: Site, run: dict) -> dict:
    """A run as it stands in the ledger."""
    (file,) = (up.folder / "artifacts" / "runs").glob(f"*Z-{run['id']}.json")
    return json.loads(file.read_text())


def failures(up: Site) -> list[dict]:
    """The events of runs that failed."""
    chosen = {"filter": {"event": {"name": [alerts.FAILED]}}}
    return up.request("POST", "events/filter", json=chosen).raise_for_status().json()["events"]


def test_a_run_that_was_being_submitted_when_the_services_stopped_blocks_nothing(up: Site) -> None:
    """Of the deployment, one run may be active."""
    parameters = {"folder": "/nowhere"}
    with up.client() as client:
        deployment = client.read_deployment_by_name("explain/batch").id
        stuck = client.create_flow_run_from_deployment(
            deployment, parameters=parameters, state=Pending(name="Submitting")
        )
    up.do("artdetect.services", "down")
    said = up.do("artdetect.services", "up")
    assert f"runs: ended explain {stuck.name}: Crashed" in said
    assert said.index("server: answers") < said.index("deployments: ") < said.index("worker: starting")
    up.start("explain/batch", **parameters)

    def ended() -> dict[str, str]:
        return {run["name"]: run["state_type"] for run in up.runs("explain")}

    assert eventually(lambda: ended().get(stuck.name) == "CRASHED" and "FAILED" in ended().values()), (
        ended(),
        up.log(),
    )
    recorded = [json.loads(file.read_text()) for file in (up.folder / "artifacts" / "runs").glob("[!.]*.json")]
    assert {run["state"] for run in recorded if run["flow"] == "explain"} == {"crashed", "failed"}


def test_a_cancelled_run_that_has_to_be_killed_blocks_nothing(up: Site) -> None:
    """In a native call it ignores the worker's SIGTERM; after 30 seconds comes SIGKILL."""
    file = up.folder / "flows" / "explain.py"
    whole = file.read_text()
    file.write_text(f"{whole}\n\ndef _explain(*_):\n    {NATIVE_CALL}\n")
    try:
        up.start("explain/batch", folder="/native")

        def run() -> dict:
            return up.runs("explain")[-1]

        active = up.folder / "artifacts" / "runs"
        assert eventually(lambda: (active / f"{run()['id']}.active").exists()), (run(), up.log())
    finally:
        file.write_text(whole)
    killed = run()
    with up.client() as client:
        client.set_flow_run_state(killed["id"], Cancelling())
    assert eventually(lambda: run()["state_type"] in ENDED), up.log()
    assert run()["state_type"] == "CANCELLED"
    assert "Completed" in up.do("prefect", "deployment", "run", "watchdog/every-5-minutes", "--watch")
    assert ledger_entry(up, killed)["state"] == "cancelled"
    assert killed["id"] not in json.dumps(failures(up))
    assert not list(active.glob(f"*{killed['id']}.active"))
    assert "nowhere" in up.do(
        "prefect", "deployment", "run", "explain/batch", "--watch", "-p", "folder=/nowhere", code=1
    )
