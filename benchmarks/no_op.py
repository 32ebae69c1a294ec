"""What it costs to find out that nothing is to do: status and run on a finished demo, beside importing TensorFlow.

    make demo && .venv/bin/python -m benchmarks.no_op

The three take turns, so that a noisy machine disturbs them alike; medians of seconds, and their ratios.
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
    text = f"Status and run of the finished demo, where nothing is to do; medians of {rounds}."
    publish("No-op", f"{text}\n\n{table(heads, rows)}")


if __name__ == "__main__":
    main()
