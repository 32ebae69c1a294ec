"""Errors that only a run meets: one line that says what to do, exit code 2, and no traceback in the log."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.artifacts import run_ledger
from artdetect.cli import main

from .conftest import start

Failure = Callable[..., str]


def failure_of_a_process(project: Path, server: str, *arguments: str) -> str:
    """The last line of a run of its own, whatever Prefect has to say when a process ends."""
    process = start(project, server, "run", *arguments)
    output, log = process.communicate()
    assert process.returncode == 2, log
    assert output == ""
    assert "Traceback" not in log
    assert "Failed to write result" not in log
    last = log.splitlines()[-1]
    assert last.startswith("artdetect: "), log
    return last


@pytest.fixture
def failure(small_file: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Failure:
    """The one line that the command in this process says of a run that a person can mend."""

    def failed(*arguments: str) -> str:
        assert main(["run", "--config", str(small_file), *arguments]) == 2
        output, errors = capsys.readouterr()
        assert output == ""
        assert "Traceback" not in caplog.text
        (line,) = [line for line in errors.splitlines() if line.startswith("artdetect: ")]
        assert errors.splitlines()[-1] == line
        return line

    return failed


@pytest.mark.slow
def test_one_class_only(copy: Path, server: str) -> None:
    for folder in (copy / "data" / "raw" / "drawn" / "train").glob("AI_*"):
        shutil.rmtree(folder)
    assert "train holds no AI pictures" in failure_of_a_process(copy, server)


@pytest.mark.slow
def test_a_server_that_is_not_there(copy: Path) -> None:
    assert "unset PREFECT_API_URL" in failure_of_a_process(copy, "http://127.0.0.1:9/api", "--force")


def test_an_archive_that_is_none(failure: Failure, roots: Path) -> None:
    (roots / "pictures.zip").write_text("<html><title>Log in</title></html>")
    assert "pictures.zip" in failure("--set", f"download.url={roots / 'pictures.zip'}")


def test_a_picture_that_changes_while_it_is_used(failure: Failure, pictures: Path, roots: Path) -> None:
    """The pixel cache is gone and a file is no longer what was indexed, with size and time as they were."""
    picture = sorted((pictures / "train" / "ukiyo_e").iterdir())[0]
    before = picture.stat()
    data = bytearray(picture.read_bytes())
    data[len(data) // 2] ^= 1
    picture.write_bytes(data)
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.rmtree(roots / "data" / "cache" / "pixels")
    message = failure("--refresh", "train")
    assert picture.name in message
    assert "changed since it was indexed" in message
    run = run_ledger.read()[-1]
    assert (run.state, f"artdetect: {str(run.error).partition(': ')[2]}") == ("failed", message)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk(failure: Failure, roots: Path) -> None:
    """A data root of 256 kB: the archive does not fit, and the line says what to do."""
    small = roots / "small-disk"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=True)
    try:
        (roots / "data").rename(roots / "elsewhere")
        (roots / "data").symlink_to(small)
        archive = shutil.make_archive(str(roots / "drawn"), "zip", roots / "elsewhere" / "raw")
        assert "free" in failure("--set", f"download.url={archive}")
    finally:
        subprocess.run(["umount", str(small)], check=True)
