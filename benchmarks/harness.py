"""What the benchmarks share: a function measured in a process of its own, and the page its result goes to.

CPU time is user + sys of the process and all it started; wall time is only good for ratios within one run on a machine
that others use too. The peak is VmHWM: the most memory the process ever held, mapped files included.
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

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results.md"
HEAD = "# Results\n\nWritten by the scripts beside it; `make bench` and `make bench-full` run them all.\n"


@dataclass(frozen=True)
class Cost:
    """Seconds."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Measured:
    """What a run cost: as a whole with the interpreter's start and all imports, and by the parts it names."""

    whole: Cost
    parts: dict[str, Cost]
    peak_mb: float
    result: Any

    def cost(self, name: str) -> Cost:
        """Of the parts of this name together, numbered or not: "train" is "train 1" and "train 2"."""
        parts = [cost for part, cost in self.parts.items() if f"{part} ".startswith(f"{name} ")]
        return Cost(sum(cost.cpu for cost in parts), sum(cost.wall for cost in parts))


def measure(target: str, *arguments: Any, data: Path | None = None) -> Measured:
    """Call `target`, "module:function", in a fresh Python process; arguments and result are what JSON can hold.

    `data` becomes its ARTDETECT_DATA and, beside it, ARTDETECT_ARTIFACTS. Exits with the process's own words if it
    fails.
    """
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    if data is not None:
        environment |= {"ARTDETECT_DATA": str(data), "ARTDETECT_ARTIFACTS": str(data.with_name("artifacts"))}
    with tempfile.TemporaryDirectory() as scratch:
        said = Path(scratch, "measured.json")
        command = [sys.executable, "-c", "from benchmarks.harness import call; call()"]
        command += [target, json.dumps(arguments, default=str), str(said)]
        whole = timed(command, environment)
        measured = json.loads(said.read_text())
    parts = {name: Cost(**part) for name, part in measured["parts"].items()}
    return Measured(whole, parts, measured["peak_mb"], measured["result"])


def timed(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """What a command costs, run in the project; exits with its own words if it fails."""
    _commit()  # now, since others may work on the tree meanwhile
    before, start = _cpu(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, errors="replace")
    cost = Cost(_cpu(resource.RUSAGE_CHILDREN) - before, time.perf_counter() - start)
    if done.returncode:
        sys.exit(f"{shlex.join(command)[:500]} failed:\n{done.stdout[-1000:]}{done.stderr[-4000:]}")
    return cost


_parts: dict[str, Cost] = {}  # of the process that is measured


@contextmanager
def part(name: str) -> Iterator[None]:
    """Within a measured function: what this block costs goes under `name`; blocks of one name add up."""
    cpu, wall = cpu_now(), time.perf_counter()
    yield
    sofar = _parts.get(name, Cost(0, 0))
    _parts[name] = Cost(sofar.cpu + cpu_now() - cpu, sofar.wall + time.perf_counter() - wall)


def cpu_now() -> float:
    """Seconds of CPU this process and the finished ones that it started have used."""
    return _cpu(resource.RUSAGE_SELF) + _cpu(resource.RUSAGE_CHILDREN)


def call() -> None:
    """The measured process: do what the command line says and write what it cost."""
    target, arguments, said = sys.argv[1:]
    module, function = target.split(":")
    result = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    measured = {
        "result": result,
        "parts": {name: asdict(cost) for name, cost in _parts.items()},
        "peak_mb": _peak_mb(),
    }
    Path(said).write_text(json.dumps(measured))


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _peak_mb() -> float:
    """VmHWM. Not ru_maxrss, which a process inherits from the one that started it."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table that is readable as it stands; the first column is text, the others are numbers."""
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(heads))]
    cells.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |" for row in cells
    )


def publish(title: str, text: str, results: Path = RESULTS) -> None:
    """Print a benchmark's result and make it the section `title` of the page, in place of an older one."""
    section = f"## {title}\n\n{text.strip()}\n\n{stamp()}\n"
    print(f"\n{section}")
    page = results.read_text() if results.exists() else HEAD
    _, *sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    kept = {old.partition("\n")[0]: old.strip() + "\n" for old in sections} | {f"## {title}": section}
    results.write_text("\n".join([HEAD, *(kept[name] for name in sorted(kept))]))


def stamp() -> str:
    """Of what code, when and on what machine a result is."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "pillow", "numpy"))
    return (
        f"*{_commit()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {_processor()}, {os.cpu_count()} cores, "
        f"{_memory_gb():.0f} GB, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, {versions}.*"
    )


@cache
def _commit() -> str:
    """The commit at the first measurement, and whether the tree differed from it; the page itself does not count."""
    git = ["git", "-C", str(PROJECT)]
    try:
        name = subprocess.check_output([*git, "describe", "--always"], text=True, stderr=subprocess.DEVNULL).strip()
        changed = [*git, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results.md"]
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
