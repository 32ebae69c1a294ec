"""Requests that schemathesis makes up from the description of `artdetect serve`: none may get a status of 500.

    python -m benchmarks.serve_schema

schemathesis is fetched by uv for the run, into an environment of its own. It sends valid, damaged and hostile requests
to every operation. Only faults of the server count: an endpoint may well accept more than its description says.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from artdetect.model.choice import STARTER
from benchmarks.harness import publish
from benchmarks.serve_load import Served

SCHEMATHESIS = "schemathesis==4.32.5"
EXAMPLES = 100  # of each operation


def main() -> None:
    """Run and publish; exit with its output if schemathesis finds a fault."""
    with tempfile.TemporaryDirectory() as folder, Served(STARTER, 64, Path(folder)) as served:
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "tool", "run", "--from", SCHEMATHESIS, "st", "run", f"{served.address}/openapi.json"]
        command += ["--checks", "not_a_server_error", "--max-examples", f"{EXAMPLES}", "--seed", "1"]
        done = subprocess.run(command, text=True, capture_output=True, cwd=folder)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    operations = re.search(r"Tested: (\d+)", done.stdout)
    cases = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert operations
    assert cases
    assert cases[1] == cases[2]
    publish(
        "The description of serve, tried", f"{SCHEMATHESIS}: {cases[1]} requests to {operations[1]} operations, no 500."
    )


if __name__ == "__main__":
    main()
