"""What it costs to find out that nothing is to do: status and run on a finished demo, beside importing TensorFlow.

    make demo && .venv/bin/python benchmarks/no_op.py

The three take turns, so that a noisy machine disturbs them alike; medians of seconds of wall time, and their ratios.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

CONFIG = ["--config", "configs/sample.toml"]
COMMANDS = {
    "import tensorflow": [sys.executable, "-c", "import tensorflow"],
    "artdetect status": [sys.executable, "-m", "artdetect.cli", "status", *CONFIG],
    "artdetect run": [sys.executable, "-m", "artdetect.cli", "run", *CONFIG],
}


def main(rounds: int = 7) -> None:
    """Measure and print."""
    project = Path(__file__).resolve().parents[1]
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, cwd=project, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["import tensorflow"])
    for name, measured in seconds.items():
        median = statistics.median(measured)
        print(f"{name:18} {median:6.2f} s  {median / base:5.2f} of importing TensorFlow")


if __name__ == "__main__":
    main()
