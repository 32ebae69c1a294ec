"""Many retrainings one after the other: memory, open files, threads, disk, ledger and database stay level.

    python -m benchmarks.soak [CYCLES [MINUTES]]

Each cycle is what a day of unattended running does, in accelerated time: the watchdog, a retraining with another seed,
which the gate decides on, and housekeeping that keeps the last three runs and champions. Every fifth challenger is
promoted however it is calibrated. The server is that of `make up`; it keeps events for minutes instead of seven days,
and looks each minute instead of each day for artifacts of runs that housekeeping deleted. The data set is a handful of
pictures. All cycles run in one process, although a worker gives each run a process of its
own: what a process would lose is lost here 300 times. It stops after so many minutes, and says how many cycles ran.

Some of what rises is TensorFlow's: its registry of gradients keeps the graph of each training step that has a custom
gradient, and its default graph the functions that read batches. So the graphs are counted, too.
"""

import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from artdetect.web import access
from benchmarks.deployed_project import eventually, free_port
from benchmarks.harness import publish, table
from tests.tiny_dataset import data_set

CYCLES = 300
WARM_UP = 5  # cycles that fill caches and load libraries
CONFIG: dict[str, dict[str, Any]] = {
    "train": {"preset": "notebook", "epochs": 1},
    "evaluate": {"bootstrap_resamples": 100, "robustness_pictures": 0},
    "explain": {"pictures_per_group": 0, "steps": 2, "algorithm": "fast", "quality_pictures": 0},
    "gate": {"max_drop_known": 1, "max_drop_since_first": 1, "bootstrap_resamples": 100},
}
SERVER = {  # minutes for days
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "PT5M",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS": "60",
}
Row = dict[str, float]


def main(arguments: Sequence[str]) -> None:
    """Run the cycles and publish how the quantities moved."""
    cycles, minutes = [int(given) for given in arguments] + [CYCLES, 10**6][len(arguments) :]
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory(prefix="artdetect-", dir=os.environ.get("TMPDIR")) as place:
        os.environ |= {"ARTDETECT_DATA": f"{place}/data", "ARTDETECT_ARTIFACTS": f"{place}/artifacts"}
        os.environ["ARTDETECT_STARTER"] = "none"
        with _server(Path(place)) as server:
            rows = []
            for row in _cycles(Path(place), cycles, server):
                rows.append(row)
                print(f"{len(rows)}: {row}", flush=True)
                if time.monotonic() > end:
                    break
    publish("Soak", report(rows))


@contextmanager
def _server(place: Path) -> Iterator[psutil.Process]:
    """The server of `make up`, with a database in this place, for this process and its flows."""
    os.environ |= {"ARTDETECT_PORT": str(free_port()), "PREFECT_HOME": str(place / ".prefect")}
    os.environ |= SERVER | access.client_settings()
    import flows  # noqa: F401  before Prefect is imported

    with subprocess.Popen([sys.executable, "-m", "tasks.engine.server"]) as process:
        try:
            assert eventually(_answers), "the server does not start"
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _answers() -> bool:
    user, _, password = access.auth_string().partition(":")
    try:
        return httpx.get(f"{access.dashboard()}/api/health", auth=(user, password), timeout=60).is_success
    except httpx.TransportError:
        return False


def _cycles(place: Path, cycles: int, server: psutil.Process) -> Iterator[Row]:
    from artdetect import config as configs
    from artdetect.artifacts import registry, run_ledger
    from artdetect.housekeeping import HousekeepingConfig
    from flows.housekeeping import housekeeping
    from flows.pipeline import pipeline
    from flows.retrain import retrain
    from flows.watchdog import watchdog

    pictures = data_set(place / "data" / "raw" / "art", train=30, test=12)
    config = configs.parse({"download": {"url": str(pictures)}, **CONFIG})
    pipeline(config)
    for seed in range(1, cycles + 1):
        watchdog()
        changes = [f"train.seed={seed}", f"gate.max_ece_rise={int(seed % 5 == 0)}"]
        retrain(configs.changed(config, changes), force=True)
        counts = housekeeping(HousekeepingConfig(keep_last=3, keep_days=0, keep_champions=3, prune_prefect=True))
        process = psutil.Process()
        gc.collect()
        objects = gc.get_objects()
        graphs = sum(type(one).__name__ == "FuncGraph" for one in objects)
        count = len(objects)
        del objects
        yield {
            "memory of the runs' process, MB": process.memory_info().rss / 1e6,
            "its live Python objects, thousands": count / 1e3,
            "graphs of TensorFlow among them": graphs,
            "its open files and sockets": process.num_fds(),
            "its threads": threading.active_count(),
            "memory of Prefect's server, MB": server.memory_info().rss / 1e6,
            "its open files": server.num_fds(),
            "Prefect's database, MB": _database() / 1e6,
            "artifacts, MB": _size(place / "artifacts") / 1e6,
            "files in artifacts": _files(place / "artifacts"),
            "data/cache, MB": _size(place / "data" / "cache") / 1e6,
            "files in data/cache": _files(place / "data" / "cache"),
            "runs in the ledger": len(run_ledger.read()),
            "champions in the history": len(registry.history()),
            "artifacts kept": counts["kept"],
        }


def report(rows: Sequence[Row]) -> str:
    """The quantities after the warm-up, in the middle and at the end, and their rise per 100 cycles in the second half.

    Args:
        rows: A row per cycle.
    """
    import numpy as np

    places = [min(WARM_UP, len(rows)) - 1, len(rows) // 2, len(rows) - 1]
    half = range(len(rows) // 2, len(rows))
    lines = []
    for name in rows[0]:
        values = [row[name] for row in rows]
        slope = np.polyfit(list(half), [values[cycle] for cycle in half], 1)[0] if len(half) > 1 else float("nan")
        lines.append([name, *(f"{values[place]:,.1f}" for place in places), f"{100 * slope:+,.1f}"])
    heads = ["", *(f"cycle {place + 1}" for place in places), "rise per 100 cycles, second half"]
    return (
        f"{len(rows)} of {CYCLES} cycles of watchdog, retraining and housekeeping (keep 3 runs and 3 champions, prune "
        f"Prefect) on a handful of pictures, in one process; the server keeps events for five minutes, "
        "and deletes artifacts of deleted runs each minute. "
        "TensorFlow keeps graphs of each training for as long as the process lives."
        f"\n\n{table(heads, lines)}"
    )


def _database() -> float:
    from flows.housekeeping import database_bytes

    return float(database_bytes() or 0)


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())


def _files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*"))


if __name__ == "__main__":
    main(sys.argv[1:])
