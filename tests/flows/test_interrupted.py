"""Ctrl-C in the terminal of a real run: SIGINT to all processes of its group, as a terminal sends it."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from uuid import UUID

import pytest

from artdetect import alerts, audit
from artdetect.artifacts import active_runs, run_ledger
from artdetect.core import interrupts
from tests.waiting import awaited

from . import conftest
from .conftest import events, finish, outcome, read_to, small, start, task_states

pytestmark = pytest.mark.slow
OTHER = ("--set", "train.epochs=40")
BOUND = 60  # seconds; it took 157 while the temporary server heard of the Ctrl-C, too


def in_a_terminal(project: Path, server: str | None, *arguments: str) -> "subprocess.Popen[str]":
    """A command that leads a group of processes; without a server, it starts one for itself."""
    own = ("ARTDETECT_", "PREFECT_")
    environment = {name: value for name, value in os.environ.items() if not (name.startswith(own) and not server)}
    environment = {name: value for name, value in environment.items() if not name.startswith("ARTDETECT_")}
    environment |= {"PYTHONPATH": os.pathsep.join([str(project), environment["PYTHONPATH"]])}
    environment |= {"PREFECT_HOME": str(project / ".prefect")} | ({"PREFECT_API_URL": server} if server else {})
    return subprocess.Popen(
        [sys.executable, "-m", "artdetect.cli", *arguments, "--config", str(project / "small.toml")],
        cwd="/",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def interrupt(run: "subprocess.Popen[str]", at: str = "epoch 2 of") -> None:
    """Ctrl-C in the training, or where the log has other words."""
    read_to(run, at)
    os.killpg(run.pid, signal.SIGINT)
    try:
        output, log = run.communicate(timeout=BOUND)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        raise
    assert (run.returncode, output) == (130, ""), log
    assert not [word for word in ("Traceback", "rash", "ERROR") if word in log], log
    assert [line for line in log.splitlines() if line.startswith("artdetect: ")] == [
        "artdetect: interrupted; run the same command again to resume"
    ]
    assert awaited(lambda: not lives(run.pid)), "something of its group is left"


def lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_run_is_cancelled_and_the_next_one_goes_on(
    copy: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(copy / "artifacts"))
    before = {run.id for run in run_ledger.read()}
    interrupt(in_a_terminal(copy, server, "run", "--refresh", "index", *OTHER))
    (run,) = (run for run in run_ledger.read() if run.id not in before)
    assert (run.state, run.error) == ("cancelled", "it was cancelled")
    assert [use.stage for use in run.stages] == ["download", "index", "audit", "balance"]
    assert active_runs.running() == active_runs.record_crashed() == alerts.of_runs([run]) == []
    assert events(alerts.FAILED, run.id, expected=0) == []

    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(run.id)).state
    assert state is not None
    assert state.is_cancelled()
    ended = {"train": ("Crashed", "CRASHED")}
    assert {kind for _, kind in task_states(run.id, ended).values()} == {"COMPLETED", "CRASHED"}

    ran, _ = finish(start(copy, server, "run", "--json", *OTHER))
    assert list(ran) == ["train", "evaluate", "explain", "report"]
    assert outcome(copy, server, "status", *OTHER) == {}


@pytest.mark.parametrize(
    ("command", "at"),
    [
        (("retrain", "--force"), "epoch 2 of"),
        (("run", "--set", "compute.engine=processes", "--refresh", "train"), "epoch 2 of"),
        (("run", "--set", "compute.engine=dask", "--set", "compute.workers=2"), "epoch 2 of"),
        (("tune", "--trials", "3", "--set", "train.preset=artnet"), "trial 0: "),
    ],
    ids=["retrain", "run on processes", "run on Dask workers", "tune"],
)
def test_other_commands_are_cancelled_too(
    copy: Path, server: str, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], at: str
) -> None:
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(copy / "artifacts"))
    before = {run.id for run in run_ledger.read()}
    interrupt(in_a_terminal(copy, server, *command, *OTHER), at)
    (run,) = (run for run in run_ledger.read() if run.id not in before)
    assert (run.flow, run.state) == ("pipeline" if command[0] == "run" else command[0], "cancelled")
    assert active_runs.running() == active_runs.record_crashed() == []


def test_a_ctrl_c_that_a_stage_swallowed_ends_the_run_before_the_next_stage(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = audit.run

    def swallows(*arguments: object, **options: object) -> None:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        whole(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(audit, "run", swallows)
    with interrupts.noticed(), pytest.raises(KeyboardInterrupt):
        conftest.run(small(pictures), refresh=("audit", "balance"))
    ended = run_ledger.read()[-1]
    assert (ended.state, [(use.stage, use.ran) for use in ended.stages][-1]) == ("cancelled", ("audit", True))


def test_the_temporary_server_of_a_run_hears_how_it_ended(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(in_a_terminal(copy, None, "run", *OTHER))
    with closing(sqlite3.connect(copy / ".prefect" / "prefect.db")) as database:
        assert database.execute("SELECT state_type FROM flow_run").fetchall() == [("CANCELLED",)]
        assert ("train", "CRASHED") in database.execute("SELECT name, state_type FROM task_run").fetchall()
        assert not database.execute("SELECT 1 FROM task_run WHERE state_type = 'RUNNING'").fetchall()
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(copy / "artifacts"))
    assert run_ledger.read()[-1].state == "cancelled"
