"""The cost of a no-op: status and run on a finished demo, compared with importing TensorFlow.

    make demo && .venv/bin/python -m benchmarks.no_op

The three commands take turns, so that a noisy machine affects them alike. Results are medians of seconds, and ratios.
"""

import statistics
import sys

from benchmarks.harness import Cost, publish, table, timed

CONFIG = ["--config", "configs/sample.toml"]
COMMANDS = {
    "import tensorflow": [sys.executable, "-c", "import tensorflow"],
    "artdetect status": [sys.executable, "-m", "artdetect.cli", "status", *CONFIG],
    "artdetect run": [sys.executable, "-m", "artdetect.cli", "run", *CONFIG],
}


def main(rounds: int = 7) -> None:
    """Measure and publish."""
    costs: dict[str, list[Cost]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            costs[name].append(timed(command))
    rows, base = [], None
    for name, measured in costs.items():
        cpu, wall = (statistics.median(getattr(cost, kind) for cost in measured) for kind in ("cpu", "wall"))
        base = base or (cpu, wall)
        rows.append([name, f"{cpu:.2f}", f"{cpu / base[0]:.2f}", f"{wall:.2f}", f"{wall / base[1]:.2f}"])
    heads = ["command", "CPU s", "of importing TensorFlow", "wall s", "of importing TensorFlow"]
    text = f"`status` and `run` on the finished demo, where everything is up to date; medians of {rounds} rounds."
    publish("No-op", f"{text}\n\n{table(heads, rows)}")


if __name__ == "__main__":
    main()
