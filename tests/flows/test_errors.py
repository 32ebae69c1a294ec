"""Errors that only a run meets: one line that says what to do, exit code 2, and no traceback in the log."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import start


def failure(project: Path, server: str, *arguments: str) -> str:
    """The last line and the whole log of a run that a person can mend."""
    process = start(project, server, "run", *arguments)
    output, log = process.communicate()
    assert process.returncode == 2, log
    assert output == ""
    assert "Traceback" not in log
    last = log.splitlines()[-1]
    assert last.startswith("artdetect: ")
    return last


def test_one_class_only(copy: Path, server: str) -> None:
    for folder in (copy / "data" / "raw" / "drawn" / "train").glob("AI_*"):
        shutil.rmtree(folder)
    assert "train holds no AI pictures" in failure(copy, server)


def test_an_archive_that_is_none(copy: Path, server: str) -> None:
    (copy / "pictures.zip").write_text("<html><title>Log in</title></html>")
    assert "pictures.zip" in failure(copy, server, "--set", f"download.url={copy / 'pictures.zip'}")


def test_a_server_that_is_not_there(copy: Path) -> None:
    assert "unset PREFECT_API_URL" in failure(copy, "http://127.0.0.1:9/api", "--always")


def test_a_picture_that_changes_while_it_is_used(copy: Path, server: str) -> None:
    """The pixel cache is gone and a file is no longer what was indexed, with size and time as they were."""
    picture = sorted((copy / "data" / "raw" / "drawn" / "train" / "ukiyo_e").iterdir())[0]
    before = picture.stat()
    data = bytearray(picture.read_bytes())
    data[len(data) // 2] ^= 1
    picture.write_bytes(data)
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.rmtree(copy / "data" / "cache" / "pixels")
    message = failure(copy, server, "--refresh", "train")
    assert picture.name in message
    assert "changed since it was indexed" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk(copy: Path, server: str) -> None:
    """A data root of 256 kB: the archive does not fit, and the line says what to do."""
    small = copy / "small-disk"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=True)
    try:
        (copy / "data").rename(copy / "elsewhere")
        (copy / "data").symlink_to(small)
        archive = shutil.make_archive(str(copy / "drawn"), "zip", copy / "elsewhere" / "raw")
        assert "free" in failure(copy, server, "--set", f"download.url={archive}")
    finally:
        subprocess.run(["umount", str(small)], check=True)
