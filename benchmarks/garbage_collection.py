"""Garbage collection after many real runs: disk use before and after, and whether exactly the needed artifacts remain.

    .venv/bin/python -m benchmarks.garbage_collection [RUNS]

Runs the pipeline RUNS times (20) on the demo data set with changing parameters, in a separate folder. The third
run's model is the champion, the fourth run's report is pinned. Then `artdetect gc --keep-last 3 --keep-days 0` is
killed once at a random moment and run again. Exits with 1 if other artifacts remain than are needed, or if predict or
status no longer work.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import PROJECT, publish, table

KEEP_LAST = 3
SMALL = (
    "train.preset=notebook",
    "train.epochs=1",
    "evaluate.bootstrap_resamples=100",
    "evaluate.robustness_pictures=0",
    "explain.pictures_per_group=0",
    "explain.steps=2",
    "explain.algorithm=fast",
)


def main(count: int = 20) -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        environment = os.environ | {
            "ARTDETECT_DATA": str(root / "data"),
            "ARTDETECT_ARTIFACTS": str(root / "artifacts"),
            "PREFECT_HOME": str(root / "prefect"),
            "PYTHONPATH": str(PROJECT),
        }

        def artdetect(*arguments: str) -> str:
            command = [sys.executable, "-m", "artdetect.cli", *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=PROJECT)
            if done.returncode:
                sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
            return done.stdout

        archive = artdetect("demo-data", str(root / "sample")).strip()
        base = _sets(f"download.url={archive}", *SMALL)
        runs = []
        for number in range(count):
            change = f"train.seed={number}" if number % 2 == 0 else f"report.title=run {number}"
            result = json.loads(artdetect("run", "--json", *base, *_sets(change)))
            runs.append({stage["stage"]: Path(stage["artifact"]).name for stage in result["stages"]})
        artdetect("promote", runs[2]["train"], "--reason", "the benchmark's champion")
        artdetect("pin", runs[3]["report"])

        artifacts = root / "artifacts"
        champion = json.loads((artifacts / "models" / "champion.json").read_text())["champion"]["artifacts"]
        roots = set(champion.items()) | {("report", runs[3]["report"])}
        needed = _with_sources(artifacts, roots.union(*(run.items() for run in runs[-KEEP_LAST:])))
        before, bytes_before = _existing(artifacts), _bytes(artifacts)
        collect = ("gc", "--keep-last", str(KEEP_LAST), "--keep-days", "0")
        plan = json.loads(artdetect(*collect, "--dry-run", "--json"))
        planned = {(row["stage"], row["key"]) for row in plan["rows"] if row["fate"] == "kept"}
        command = [sys.executable, "-m", "artdetect.cli", *collect]
        killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=PROJECT)
        until = time.monotonic() + 60
        while _existing(artifacts) == before and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(random.random() / 100)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        at_kill = _existing(artifacts)
        artdetect(*collect)
        after, bytes_after = _existing(artifacts), _bytes(artifacts)

        artdetect("status", *base, *_sets(change))
        picture = next((root / "data" / "raw").rglob("*.jpg"))
        artdetect("predict", str(picture))

    rows = [
        ["before", len(before), bytes_before / 1e6],
        ["when killed", len(at_kill), ""],
        ["after", len(after), bytes_after / 1e6],
    ]
    sizes = table(
        ["", "artifacts", "MB"], [[cell if isinstance(cell, str) else round(cell, 1) for cell in row] for row in rows]
    )
    correct = after == needed == planned
    verdict = "exactly the needed artifacts remain" if correct else "WRONG: other artifacts remain than are needed"
    text = (
        f"{count} runs, of which the last {KEEP_LAST}, a champion and a pin are protected: {verdict}. "
        "Status and predict still work."
    )
    publish("Garbage collection", f"{text}\n\n{sizes}")
    if not correct:
        sys.exit(f"missing: {sorted(needed - after)}\nleft over: {sorted(after - needed)}")


def _sets(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def _existing(artifacts: Path) -> set[tuple[str, str]]:
    return {(path.parents[1].name, path.parent.name) for path in artifacts.glob("*/[!.]*/record.json")}


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _with_sources(artifacts: Path, names: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """These artifacts and all that they were made from, according to the records; of equal ones the last before."""
    records = {name: json.loads(artifacts.joinpath(*name, "record.json").read_text()) for name in _existing(artifacts)}
    found, waiting = set(), list(names)
    while waiting:
        if (name := waiting.pop()) in found:
            continue
        found.add(name)
        record = records[name]
        for digest in record["parts"]["inputs"].values():
            equal = [n for n, r in records.items() if r["digest"] == digest and r["started"] < record["started"]]
            waiting += sorted(equal, key=lambda n: records[n]["started"])[-1:]
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
