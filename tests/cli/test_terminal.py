"""What a person sees on a terminal, and a program that reads the output does not."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from artdetect.cli import main, terminal
from tests import PROJECT
from tests.cli.conftest import artdetect
from tests.tiny_dataset import jpeg, write

GREEN, HIDE_CURSOR = "\x1b[32m", "\x1b[?25l"


@contextmanager
def a_terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """The file descriptor of a terminal, and what gives all that was written to it."""
    reader, writer = pty.openpty()
    parts: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # how Linux says that the other side has gone
            while part := os.read(reader, 4096):
                parts.append(part)

    thread = threading.Thread(target=read)  # what nobody reads blocks the writer
    thread.start()

    def written() -> str:
        os.close(writer)
        thread.join()
        return b"".join(parts).decode()

    yield writer, written
    os.close(reader)


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs a command whose stdout and stderr are a terminal: the exit code, and all it wrote."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> tuple[int, str]:
        with a_terminal() as (writer, written), monkeypatch.context() as patch:
            with os.fdopen(os.dup(writer), "w") as stream:
                patch.setattr(sys, "stdout", stream)
                patch.setattr(sys, "stderr", stream)
                code = main([str(argument) for argument in arguments])
            return code, written()

    return run


def test_verdicts_have_colours_and_a_bar_on_a_terminal(
    model: Path, mixed: Path, on_terminal: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, shown = on_terminal("predict", mixed)
    assert code == 1
    assert "\x1b[33munsure: too small\x1b[0m" in shown
    assert "\x1b[31merror\x1b[0m" in shown
    assert HIDE_CURSOR in shown
    assert "3/3" in shown
    assert shown.index("b.jpg") < shown.index("artdetect: 3 pictures: 2 unsure, 1 error")
    monkeypatch.setenv("NO_COLOR", "1")
    code, shown = on_terminal("predict", mixed, "--quiet")
    assert code == 1
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 3


def test_long_paths_are_not_cut_or_wrapped_on_a_terminal(
    model: Path, tmp_path: Path, on_terminal: Callable[..., tuple[int, str]]
) -> None:
    picture = write(tmp_path / ("long" * 50) / "a.jpg", jpeg(1))
    assert str(picture) in on_terminal("predict", "-q", picture)[1]


def test_a_pipe_gets_rows_alone_and_stderr_no_progress(
    model: Path, mixed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["predict", str(mixed)]) == 1
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert [line.split("\t")[0] for line in printed.out.splitlines()] == [f"{mixed}/{name}.jpg" for name in "abc"]
    *introduction, counts, meaning = printed.err.splitlines()
    assert introduction[0].startswith("artdetect: model notebook-")
    assert counts == "artdetect: 3 pictures: 2 unsure, 1 error"
    assert "unsure means that it gives no verdict" in meaning
    assert main(["predict", str(mixed), "--quiet"]) == 1
    assert capsys.readouterr().err == ""


def test_relative_paths_stay_relative_in_every_command_that_names_pictures(
    model: Path, mixed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mixed.parent)
    main(["predict", "in", str(mixed / "a.jpg")])
    names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["in/a.jpg", "in/b.jpg", "in/c.jpg", str(mixed / "a.jpg")]
    main(["predict", "in/c.jpg", "--json"])
    assert json.loads(capsys.readouterr().out)["path"] == "in/c.jpg"
    explain = ["explain", "in/a.jpg", "--out", "out", "--method", "gradcam", "--quality", "0"]
    assert main(explain) == 0
    assert capsys.readouterr().out.split("\t")[::2] == ["in/a.jpg", "out/a.png\n"]


def test_what_takes_long_is_announced_and_what_is_quick_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_terminal() as (writer, written), monkeypatch.context() as patch:
        with os.fdopen(os.dup(writer), "w") as stream:
            patch.setattr(sys, "stderr", stream)
            with terminal.counted("pictures") as progress:
                progress(3, 7)
            patch.setattr(terminal, "DELAY", 60)
            with terminal.activity("quick"):
                pass
            patch.setattr(terminal, "DELAY", 0)
            with terminal.activity("slow"):
                time.sleep(0.6)
        shown = written()
    assert "slow" in shown
    assert "quick" not in shown
    assert "3/7" in shown


@pytest.mark.slow
def test_a_real_terminal_shows_verdicts_in_order_above_a_bar(model: Path, tmp_path: Path) -> None:
    for number in range(100):
        write(tmp_path / "in" / f"{number:03}.jpg", jpeg(number))
    with a_terminal() as (writer, written):
        ended = subprocess.run(
            [sys.executable, "-m", "artdetect.cli", "predict", str(tmp_path / "in")],
            cwd=PROJECT, stdout=writer, stderr=writer, env=os.environ | {"TERM": "xterm", "COLUMNS": "150"},
        )  # fmt: skip
        shown = written()
    assert ended.returncode == 0
    assert re.findall(r"(\d\d\d)\.jpg", shown) == [f"{number:03}" for number in range(100)]
    assert "/100" in shown
    assert shown.rstrip().endswith("equally likely beforehand")


@pytest.mark.slow
def test_a_list_from_find_through_a_real_pipe(model: Path, mixed: Path) -> None:
    listed = subprocess.run(["find", str(mixed), "-name", "*.jpg", "-print0"], capture_output=True, check=True)
    ended = artdetect("predict", "-0", "-", "--quiet", input=listed.stdout.decode())
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) == 3
