"""A long stage shows how far it is: a bar on a terminal, which leaves the log's lines whole, and lines elsewhere."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import PROJECT

PROGRAM = """
import time
import flows
from prefect import flow
from prefect.logging import get_run_logger
from tasks.engine import progress as displays
from tasks.engine.progress import ProgressDisplay

displays.DELAY = 0.1

@flow
def shown():
    with displays.activity("the stage"), ProgressDisplay("scan", every=0.1) as progress:
        for number in range(11):
            progress.log(number, 10, "reading new pictures")
            time.sleep(0.05)
            if number == 5:
                get_run_logger().info("half of it")
        progress.log(1, 2, "writing")
        time.sleep(0.5)  # a terminal is drawn ten times a second
    get_run_logger().info("all of it")

shown()
"""


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_on_a_terminal_and_lines_elsewhere(server: str, tmp_path: Path, terminal: bool) -> None:
    reader, writer = pty.openpty() if terminal else os.pipe()
    environment = os.environ | {
        "PREFECT_API_URL": server,
        "PYTHONPATH": str(PROJECT),
        "TERM": "xterm",
        "COLUMNS": "100",
    }
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, stderr=writer)
    os.close(writer)
    written = b""
    while part := read(reader):
        written += part
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    lines = [line.strip("\r") for line in text.split("\n")]
    bars = re.findall(r"scan: reading new pictures [━╸╺ ]+ +\d+%", text)
    logged = [line for line in lines if re.search(r"INFO .* scan: reading new pictures, \d+ %$", line)]
    assert (len(bars) > 3, len(logged) > 2) == (terminal, not terminal)
    assert (re.search(r"scan: writing [━╸╺ ]+ +50%", text) is not None) == terminal
    assert ("the stage 0:00:0" in text) == terminal
    for message in ("half of it", "all of it"):
        (line,) = [line for line in lines if line.endswith(message)]
        assert re.search(r"^\d\d:\d\d:\d\d.*INFO", line.split("\r")[-1])


def read(reader: int) -> bytes:
    try:
        return os.read(reader, 65_536)
    except OSError:  # how Linux says that a terminal's other side has gone
        return b""
