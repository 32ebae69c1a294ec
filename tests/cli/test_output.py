"""Full disks and closed pipes end a command with one line."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import artdetect, one_line
from tests.tiny_dataset import data_set


def test_a_disk_that_is_full_when_the_table_is_closed_is_one_line(
    failing: Callable[..., str], model: Path, tmp_path: Path
) -> None:
    assert "the disk is full" in failing("predict", tmp_path / "absent.jpg", "--csv", "/dev/full")


@pytest.mark.slow
def test_a_disk_that_is_full_while_the_table_is_written_is_one_line(model: Path, tmp_path: Path) -> None:
    """Nor does Python complain at exit of a file that it could not close."""
    paths = [tmp_path / "absent" / f"{number}.jpg" for number in range(400)]
    ended = artdetect("predict", *paths, "--csv", "/dev/full")
    assert ended.returncode == 2
    assert "the disk is full" in one_line(ended.stderr)


def test_a_full_disk_under_the_output_is_one_line(config: Path, roots: Path) -> None:
    data_set(roots / "art", train=1, test=1)
    with Path("/dev/full").open("w") as full:
        ended = artdetect("status", "--config", config, stdout=full, env=os.environ | {"PYTHONUNBUFFERED": ""})
    assert ended.returncode == 2
    assert "the disk is full" in one_line(ended.stderr)


def test_a_file_that_must_not_grow_is_one_line(failing: Callable[..., str], model: Path, tmp_path: Path) -> None:
    """`ulimit -f`, which stops root too."""
    (folder := tmp_path / "in").mkdir()
    for number in range(200):
        (folder / f"{number}.jpg").touch()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        message = failing("predict", folder, "--csv", tmp_path / "out.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "ulimit" in message


def test_a_reader_that_stops_reading_is_no_error(config: Path, roots: Path) -> None:
    data_set(roots / "art", train=1, test=1)
    reading, writing = os.pipe()
    os.close(reading)
    ended = artdetect("status", "--config", config, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")
