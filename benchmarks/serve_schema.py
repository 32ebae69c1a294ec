"""Requests that schemathesis makes up from the description of `artdetect serve`: none may get a status of 500.

    python -m benchmarks.serve_schema

It sends valid, damaged and hostile requests to every operation. Only faults of the server count: an endpoint may well
accept more than its description says.
"""

import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from artdetect.model.choice import STARTER
from benchmarks.harness import publish
from benchmarks.serve_load import Served

EXAMPLES = 100  # of each operation


def attack(address: str, examples: int) -> tuple[int, int]:
    """Send requests to the service at an address.

    Args:
        address: Its URL.
        examples: How many requests to make up for each operation.

    Returns:
        The numbers of operations and of requests.

    Raises:
        AssertionError: It has a fault; the message is the output of schemathesis.
    """
    command = [str(Path(sys.executable).with_name("st")), "run", f"{address}/openapi.json"]
    command += ["--checks", "not_a_server_error", "--max-examples", f"{examples}", "--seed", "1"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, text=True, capture_output=True, cwd=folder)
    operations = re.search(r"Tested: (\d+)", done.stdout)
    cases = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert done.returncode == 0 and operations and cases and cases[1] == cases[2], done.stdout + done.stderr  # noqa: PT018
    return int(operations[1]), int(cases[1])


def main() -> None:
    """Run and publish."""
    with tempfile.TemporaryDirectory() as folder, Served(STARTER, 64, Path(folder)) as served:
        operations, cases = attack(served.address, EXAMPLES)
    text = f"schemathesis {version('schemathesis')}: {cases} requests to {operations} operations, no 500."
    publish("The description of serve, tried", text)


if __name__ == "__main__":
    main()
