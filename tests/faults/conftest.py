"""A data set for whole runs, and the process that makes them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import PROJECT
from tests.tiny_dataset import data_set

WholeRun = Callable[..., int]  # root, moment at which it is killed (0: none) -> exit code


@pytest.fixture(scope="session")
def art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny pictures. For reading only."""
    return data_set(tmp_path_factory.mktemp("art") / "art", train=12, test=4)


@pytest.fixture(scope="session")
def errors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the whole runs wrote to stderr."""
    return tmp_path_factory.mktemp("errors") / "stderr"


@pytest.fixture(scope="session")
def whole_run(art: Path, errors: Path) -> Iterator[WholeRun]:
    """Makes a whole run below a root of its own; see `whole_run.py`."""
    command = [sys.executable, "-m", "tests.faults.whole_run"]
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        assert process.stdin
        assert process.stdout

        def run(root: Path, moment: int = 0, pictures: Path = art) -> int:
            root.mkdir(exist_ok=True)
            print(root, pictures, moment, file=process.stdin, flush=True)
            return int(process.stdout.readline())  # type: ignore[union-attr]

        yield run
        process.stdin.close()


@pytest.fixture(scope="session")
def undisturbed(whole_run: WholeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a whole run that nothing disturbed. For reading only."""
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    assert whole_run(root) == 0
    return root
