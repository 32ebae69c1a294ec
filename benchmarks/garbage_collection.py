"""Garbage collection after many real runs: disk before and after, and what is kept against what must be.

    .venv/bin/python -m benchmarks.garbage_collection [RUNS]

RUNS (20) runs of the pipeline on the drawn sample set with changing parameters, in a folder of their own; the third
run's model is the champion, the fourth's report pinned. Then `artdetect gc --keep-last 3 --keep-days 0`, killed once at
a random moment and run again. Exits 1 where what is kept is not what must be, or predict or status no longer work.
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

LAST = 3
SMALL = ("train.preset=notebook", "train.epochs=1", "evaluate.resamples=100", "evaluate.robustness=0",
         "explain.per_rule=0", "explain.steps=2", "explain.algorithm=fast")  # fmt: skip


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

        archive = artdetect("sample", str(root / "sample")).strip()
        base = _sets(f"download.url={archive}", *SMALL)
        runs = []
        for number in range(count):
            changed = f"train.seed={number}" if number % 2 == 0 else f"report.title=run {number}"
            ran = json.loads(artdetect("run", "--json", *base, *_sets(changed)))
            runs.append({stage["stage"]: Path(stage["artifact"]).name for stage in ran["stages"]})
        artdetect("promote", runs[2]["train"], "--why", "the benchmark's champion")
        artdetect("pin", runs[3]["report"])

        artifacts = root / "artifacts"
        champion = json.loads((artifacts / "models" / "champion.json").read_text())["champion"]["artifacts"]
        must = set(champion.items()) | {("report", runs[3]["report"])}
        must = _closed(artifacts, must.union(*(run.items() for run in runs[-LAST:])))
        before, bytes_before = _there(artifacts), _bytes(artifacts)
        collect = ("gc", "--keep-last", str(LAST), "--keep-days", "0")
        said = json.loads(artdetect(*collect, "--dry-run", "--json"))
        planned = {(row["stage"], row["key"]) for row in said["rows"] if row["fate"] == "kept"}
        command = [sys.executable, "-m", "artdetect.cli", *collect]
        killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=PROJECT)
        until = time.monotonic() + 60
        while _there(artifacts) == before and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(random.random() / 100)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        at_kill = _there(artifacts)
        artdetect(*collect)
        after, bytes_after = _there(artifacts), _bytes(artifacts)

        artdetect("status", *base, *_sets(changed))
        picture = next((root / "data" / "raw").rglob("*.jpg"))
        artdetect("predict", str(picture))

    rows = [
        ["before", len(before), bytes_before / 1e6],
        ["when killed", len(at_kill), ""],
        ["after", len(after), bytes_after / 1e6],
    ]
    shown = table(
        ["", "artifacts", "MB"], [[cell if isinstance(cell, str) else round(cell, 1) for cell in row] for row in rows]
    )
    verdict = "exactly what must be kept is kept" if after == must == planned else "WRONG: not what must be kept"
    text = f"{count} runs, the last {LAST} kept, a champion and a pin: {verdict}. Status and predict work on."
    publish("Garbage collection", f"{text}\n\n{shown}")
    if not after == must == planned:
        sys.exit(f"missing: {sorted(must - after)}\nleft over: {sorted(after - must)}")


def _sets(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


def _there(artifacts: Path) -> set[tuple[str, str]]:
    return {(path.parents[1].name, path.parent.name) for path in artifacts.glob("*/[!.]*/record.json")}


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _closed(artifacts: Path, names: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """These and all they were made from, by the records: of equal ones the last before the one that uses it."""
    records = {name: json.loads(artifacts.joinpath(*name, "record.json").read_text()) for name in _there(artifacts)}
    found, waiting = set(), list(names)
    while waiting:
        if (name := waiting.pop()) in found:
            continue
        found.add(name)
        made = records[name]
        for digest in made["parts"]["inputs"].values():
            equal = [n for n, r in records.items() if r["digest"] == digest and r["started"] < made["started"]]
            waiting += sorted(equal, key=lambda n: records[n]["started"])[-1:]
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
