"""The table "what runs again", continued: code edited, the project moved, runs killed or at once.

Each test has a copy of the whole project and uses its command line, from an unrelated folder.
"""

import shutil
from pathlib import Path

import pytest

from .conftest import FROM_TRAIN, STAGES, finish, kill_at, outcome, read_to, run, small, start


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def test_the_project_moved_to_another_folder(copy: Path, server: str) -> None:
    assert outcome(copy, server, "status") == {}
    moved = copy.rename(copy.with_name("moved"))
    assert outcome(moved, server, "status") == {}
    assert outcome(moved, server, "run", "--always") == {}


def test_a_comment_and_a_docstring_edited(copy: Path, server: str) -> None:
    balance = copy / "artdetect" / "balance.py"
    balance.write_text("# a new comment\n" + balance.read_text().replace('"""balance: which', '"""Balance:  which'))
    assert outcome(copy, server, "status") == {}


def test_a_helper_of_balance_edited(copy: Path, server: str) -> None:
    """A function that balance calls, in a module that only balance imports: balance runs, its table is as before."""
    (copy / "artdetect" / "helper.py").write_text("def share(n):\n    return n\n")
    balance = copy / "artdetect" / "balance.py"
    append(balance, "\n\nfrom artdetect.helper import share\n")
    assert set(outcome(copy, server, "run")) == {"balance"}
    (copy / "artdetect" / "helper.py").write_text("def share(n):\n    return n + 0\n")
    assert outcome(copy, server, "status") == {
        "balance": ["code artdetect.helper was edited"],
        "report": ["waits for balance, train, evaluate, explain"],
        "train": ["waits for balance"],
        "evaluate": ["waits for balance, train"],
        "explain": ["waits for train, evaluate"],
    }
    assert outcome(copy, server, "run") == {"balance": "code artdetect.helper was edited"}


@pytest.fixture
def here(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pictures of the copied project, whose data and artifacts this process uses too."""
    monkeypatch.setenv("ARTDETECT_DATA", str(copy / "data"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(copy / "artifacts"))
    return copy / "data" / "raw" / "drawn"


def test_killed_inside_train_it_goes_on_from_its_last_epoch(
    copy: Path, here: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And ends with the model of a training that was never cut off. The kernel frees the killed builder's lock."""
    before = set((copy / "artifacts" / "train").glob("*/model.keras"))
    kill_at(start(copy, server, "run", "--set", "train.epochs=4"), "epoch 2 of 4")
    assert set((copy / "artifacts" / "train").glob("*/model.keras")) == before
    assert list((copy / "artifacts" / "train").glob(".*.tmp"))

    assert list(run(small(here, epochs=4))) == FROM_TRAIN
    assert "epoch 2 of 4" not in caplog.text
    assert "epoch 4 of 4" in caplog.text
    assert not list((copy / "artifacts" / "train").glob(".*.tmp"))
    (resumed,) = set((copy / "artifacts" / "train").glob("*/model.keras")) - before
    model, history = resumed.read_bytes(), resumed.with_name("history.csv").read_bytes()

    caplog.clear()
    assert list(run(small(here, epochs=4), ("train",))) == ["train"]
    assert "epoch 1 of 4" in caplog.text
    assert resumed.read_bytes() == model
    assert resumed.with_name("history.csv").read_bytes() == history


def test_two_runs_at_once_build_nothing_twice(copy: Path, here: Path, server: str) -> None:
    shutil.rmtree(copy / "artifacts")
    other = start(copy, server, "run", "--json")
    read_to(other, "index runs")
    ran = [*run(small(here)), *finish(other)[0]]
    assert sorted(ran) == sorted(STAGES)
    for stage in STAGES:
        journal = (copy / "artifacts" / stage / "journal.jsonl").read_text()
        assert len([line for line in journal.splitlines() if line]) == 1
