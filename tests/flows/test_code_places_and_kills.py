"""The table "what runs again", continued: code edited, the project moved, runs killed or at once.

Each test has a copy of the whole project and uses its command line, from an unrelated folder.
"""

import shutil
from pathlib import Path

from .conftest import FROM_TRAIN, STAGES, finish, kill_at, outcome, start


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


def test_killed_inside_train_it_goes_on_from_its_last_epoch(copy: Path, server: str) -> None:
    """And ends with the model of a training that was never cut off. The kernel frees the killed builder's lock."""
    longer = ("--set", "train.epochs=6")
    before = set((copy / "artifacts" / "train").glob("*/model.keras"))
    kill_at(start(copy, server, "run", *longer), "epoch 3 of 6")
    assert set((copy / "artifacts" / "train").glob("*/model.keras")) == before
    assert list((copy / "artifacts" / "train").glob(".*.tmp"))

    ran, log = finish(start(copy, server, "run", *longer, "--json"))
    assert list(ran) == FROM_TRAIN
    assert "epoch 3 of 6" not in log
    assert "epoch 6 of 6" in log
    assert not list((copy / "artifacts" / "train").glob(".*.tmp"))
    (resumed,) = set((copy / "artifacts" / "train").glob("*/model.keras")) - before
    model, history = resumed.read_bytes(), resumed.with_name("history.csv").read_bytes()

    assert list(outcome(copy, server, "run", *longer, "--refresh", "train")) == ["train"]
    assert resumed.read_bytes() == model
    assert resumed.with_name("history.csv").read_bytes() == history


def test_two_runs_at_once_build_nothing_twice(copy: Path, server: str) -> None:
    shutil.rmtree(copy / "artifacts")
    both = [start(copy, server, "run", "--json") for _ in range(2)]
    ran = [stage for process in both for stage in finish(process)[0]]
    assert sorted(ran) == sorted(STAGES)
    for stage in STAGES:
        journal = (copy / "artifacts" / stage / "journal.jsonl").read_text()
        assert len([line for line in journal.splitlines() if line]) == 1
