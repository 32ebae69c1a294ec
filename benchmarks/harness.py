"""What the benchmarks share: measuring a function in a process of its own, and publishing results.

CPU time is user + sys of the process and all its children. On a shared machine, wall time is only good for ratios
within one run. The peak is that of `artdetect.core.host.peak_memory`.
"""

import importlib
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from artdetect.core import host

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results.md"
WRITTEN = ("benchmarks/results.md", "benchmarks/faults.json", "docs/explanation/reliability.md")  # by the benchmarks
HEAD = "# Results\n\nWritten by the scripts beside it; `make bench` and `make bench-full` run them all.\n"


@dataclass(frozen=True)
class Cost:
    """CPU and wall time in seconds."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Measured:
    """The cost of a run: as a whole, including interpreter start and imports, and of its named parts."""

    whole: Cost
    parts: dict[str, Cost]
    peak_mb: float
    result: Any

    def cost(self, name: str) -> Cost:
        """The sum over the parts of this name, numbered or not: "train" is "train 1" and "train 2"."""
        parts = [cost for part, cost in self.parts.items() if f"{part} ".startswith(f"{name} ")]
        return Cost(sum(cost.cpu for cost in parts), sum(cost.wall for cost in parts))


def measure(target: str, *arguments: Any, data: Path | None = None) -> Measured:
    """Call a function in a fresh Python process. If it fails, exit with the output of that process.

    Args:
        target: The function, as "module:function".
        *arguments: Its arguments. They and the result must be representable in JSON.
        data: Becomes ARTDETECT_DATA; ARTDETECT_ARTIFACTS is the folder `artifacts` next to it.
    """
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    if data is not None:
        environment |= {"ARTDETECT_DATA": str(data), "ARTDETECT_ARTIFACTS": str(data.with_name("artifacts"))}
    with tempfile.TemporaryDirectory() as scratch:
        result_file = Path(scratch, "measured.json")
        command = [sys.executable, "-c", "from benchmarks.harness import call; call()"]
        command += [target, json.dumps(arguments, default=str), str(result_file)]
        whole = timed(command, environment)
        measured = json.loads(result_file.read_text())
    parts = {name: Cost(**part) for name, part in measured["parts"].items()}
    return Measured(whole, parts, measured["peak_mb"], measured["result"])


def timed(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """The cost of a command, run in the project folder. If it fails, exit with its output."""
    commit()  # now, because the working tree may change during the run
    before, start = _cpu(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, errors="replace")
    cost = Cost(_cpu(resource.RUSAGE_CHILDREN) - before, time.perf_counter() - start)
    if done.returncode:
        sys.exit(f"{shlex.join(command)[:500]} failed:\n{done.stdout[-1000:]}{done.stderr[-4000:]}")
    return cost


_parts: dict[str, Cost] = {}  # of the measured process


@contextmanager
def part(name: str) -> Iterator[None]:
    """Within a measured function: record the cost of this block under `name`. Blocks of one name add up."""
    cpu, wall = cpu_now(), time.perf_counter()
    yield
    before = _parts.get(name, Cost(0, 0))
    _parts[name] = Cost(before.cpu + cpu_now() - cpu, before.wall + time.perf_counter() - wall)


def cpu_now() -> float:
    """CPU seconds used by this process and its finished children."""
    return _cpu(resource.RUSAGE_SELF) + _cpu(resource.RUSAGE_CHILDREN)


def call() -> None:
    """The entry point of the measured process: call the function on the command line and write its cost."""
    target, arguments, result_file = sys.argv[1:]
    module, function = target.split(":")
    result = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    measured = {
        "result": result,
        "parts": {name: asdict(cost) for name, cost in _parts.items()},
        "peak_mb": host.peak_memory(),
    }
    Path(result_file).write_text(json.dumps(measured))


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table with aligned source. The first column is text, the others are numbers."""
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(heads))]
    cells.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |" for row in cells
    )


def publish(title: str, text: str, results: Path = RESULTS) -> None:
    """Print a benchmark's result and write it as section `title` of the results page, replacing the old one."""
    section = f"## {title}\n\n{text.strip()}\n\n{stamp()}\n"
    print(f"\n{section}")
    page = results.read_text() if results.exists() else HEAD
    _, *sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    by_title = {old.partition("\n")[0]: old.strip() + "\n" for old in sections} | {f"## {title}": section}
    results.write_text("\n".join([HEAD, *(by_title[name] for name in sorted(by_title))]))


def stamp() -> str:
    """A line with commit, time, machine and versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "pillow", "numpy"))
    return (
        f"*{commit()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {_processor()}, {os.cpu_count()} cores, "
        f"{_memory_gb():.0f} GB, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, {versions}.*"
    )


@cache
def commit() -> str:
    """The commit at the first measurement, and whether the working tree differed from it, except for results."""
    git = ["git", "-C", str(PROJECT)]
    try:
        name = subprocess.check_output([*git, "describe", "--always"], text=True, stderr=subprocess.DEVNULL).strip()
        changed = [*git, "status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!{page}" for page in WRITTEN)]
        dirty = subprocess.check_output(changed, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown commit"
    return f"Commit {name}" + (" with uncommitted changes (dirty)" if dirty else "")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
