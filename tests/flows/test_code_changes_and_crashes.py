"""The table "what runs again", continued: code edited, the project moved, runs killed or at once.

Each test has a copy of the whole project and uses its command line, from an unrelated folder. A second run, where one
is needed, is of this process, on the copy's data and artifacts.
"""

import json
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

from .conftest import FROM_TRAIN, STAGES, finish, kill_at, outcome, read_to, run, small, start

pytestmark = pytest.mark.slow

BEFORE_A_MODEL = STAGES[:4]


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def test_the_project_moved_and_code_edited(copy: Path, server: str) -> None:
    """A function that index calls, in a module that only index imports: index runs, its table is as before.

    Neither the new place nor a comment and a docstring of balance wake anything. The log of that run is JSON, a line
    a record.
    """
    copy = copy.rename(copy.with_name("moved"))
    assert outcome(copy, server, "status") == {}
    append(copy / "artdetect" / "index" / "listing.py", "\n\ndef more(n):\n    return n\n")
    balance = copy / "artdetect" / "balance.py"
    balance.write_text("# a new comment\n" + balance.read_text().replace('"""balance: assign', '"""Balance:  assign'))
    assert "Balance:  assign" in balance.read_text()
    why = "code artdetect.index.listing was edited"
    assert outcome(copy, server, "status") == {
        "index": [why],
        "audit": ["waits for index"],
        "balance": ["waits for index, audit"],
        "train": ["waits for balance"],
        "evaluate": ["waits for index, audit, balance, train"],
        "explain": ["waits for train, evaluate"],
        "report": ["waits for index, audit, balance, train, evaluate, explain"],
    }

    ran, log = finish(start(copy, server, "--log-json", "run", "--json"))
    assert ran == {"index": why}
    lines = [json.loads(line) for line in log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    by_message = {line["message"]: line for line in lines}
    for stage in STAGES[2:]:
        assert by_message[f"{stage} cached: nothing changed"]["stage"] == stage
    line = by_message[f"index runs: {why}"]
    assert (line["stage"], line["level"]) == ("index", "INFO")
    assert line["flow_run"]
    assert line["flow_run_id"]
    assert {line["task_run"] for line in lines if "task_run" in line} >= {"index"}


@pytest.fixture
def here(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pictures of the copied project, whose data and artifacts this process uses too."""
    monkeypatch.setenv("ARTDETECT_DATA", str(copy / "data"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(copy / "artifacts"))
    return copy / "data" / "raw" / "drawn"


def test_killed_inside_train_a_run_that_waits_goes_on_from_its_last_epoch(
    copy: Path, here: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And ends with the model of a training that was never cut off. The kernel frees the killed builder's lock.

    What was built before the parameter was changed is still there when it is changed back.
    """
    trained = copy / "artifacts" / "train"
    before = set(trained.glob("*/model.keras"))
    other = start(copy, server, "run", "--set", "train.epochs=4")
    with ThreadPoolExecutor(1) as threads:
        try:
            read_to(other, "train runs")
            while other.poll() is None and not list(trained.glob(".*.tmp")):
                time.sleep(0.02)  # until it has the lock
            other.send_signal(signal.SIGSTOP)
            waiting = threads.submit(copy_context().run, run, small(here, epochs=4))
            while "train: another run is building it, waiting" not in caplog.text:
                assert not waiting.done()
                time.sleep(0.02)
            other.send_signal(signal.SIGCONT)
            kill_at(other, "epoch 2 of 4")
        finally:
            other.kill()
        ran = waiting.result()

    assert (list(ran), ran["train"]) == (FROM_TRAIN, "train.epochs 1 → 4")
    assert "epoch 2 of 4" not in caplog.text
    assert "epoch 4 of 4" in caplog.text
    assert not list(trained.glob(".*.tmp"))
    (resumed,) = set(trained.glob("*/model.keras")) - before
    model, history = resumed.read_bytes(), resumed.with_name("history.csv").read_bytes()

    caplog.clear()
    shutil.rmtree(resumed.parent)
    assert run(small(here, epochs=4)) == {"train": "its artifact was deleted"}
    assert "epoch 1 of 4" in caplog.text
    assert resumed.read_bytes() == model
    assert resumed.with_name("history.csv").read_bytes() == history
    assert run(small(here)) == {}


def test_two_runs_at_once_build_nothing_twice(copy: Path, here: Path, server: str) -> None:
    """Above a run waits for a training; here for all that comes before."""
    for stage in BEFORE_A_MODEL:
        shutil.rmtree(copy / "artifacts" / stage)
    other = start(copy, server, "run", "--json")
    read_to(other, "index runs")
    ran = [*run(small(here)), *finish(other)[0]]
    assert sorted(ran) == sorted(BEFORE_A_MODEL)
    for stage in STAGES:
        journal = (copy / "artifacts" / stage / "journal.jsonl").read_text()
        assert len([line for line in journal.splitlines() if line]) == 1
