"""Helpers for tests of the command line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.cli import main
from tests import PROJECT
from tests.tiny_dataset import jpeg, write


@pytest.fixture
def config(roots: Path) -> Path:
    """A config over a folder that the test fills."""
    return write(roots / "art.toml", f'[download]\nurl = "{roots}/art"\n'.encode())


@pytest.fixture
def failing(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail as a person should see it: exit 2 and one line on stderr, which it gives."""

    def run(*arguments: object) -> str:
        capfd.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        printed = capfd.readouterr()
        assert printed.out == ""
        return one_line(printed.err)

    return run


def one_line(stderr: str) -> str:
    """The one line of an error, without the lines that introduce the model."""
    stderr = "".join(line for line in stderr.splitlines(True) if not line.startswith("artdetect: model "))
    assert stderr.startswith("artdetect: ")
    assert stderr.endswith("\n")
    assert stderr.count("\n") == 1, stderr
    assert "Traceback" not in stderr
    return stderr[len("artdetect: ") : -1]


def artdetect(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, with the limits and redirections that only a process can have."""
    return subprocess.run(
        [sys.executable, "-m", "artdetect.cli", *map(str, arguments)], cwd=PROJECT, text=True,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options),
    )  # fmt: skip


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two pictures and a file that is none."""
    for name, content in {"a.jpg": jpeg(1), "b.jpg": b"<html>", "c.jpg": jpeg(2)}.items():
        write(tmp_path / "in" / name, content)
    return tmp_path / "in"
