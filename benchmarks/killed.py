"""A retraining, killed with SIGKILL at ten points between train and the end of the promotion: which champion is there.

    python -m benchmarks.killed

Pictures are made up. A point is a change of a file: opening one to write, renaming, removing. Each killed retraining
has another seed, and so another challenger; the points are spread over all changes that an unbroken one makes, the last
three of them around the one that moves the alias. Prints a Markdown section for benchmarks/results.md.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.site import CONFIG, Site, site
from tests.tiny import data_set, jpeg, write

POINTS = 10
TOML = """
download.url = "data/raw/art"
evaluate.resamples = 100
evaluate.robustness = 0
[train]
preset = "notebook"
epochs = 2
[explain]
per_rule = 0
steps = 2
algorithm = "fast"
[gate]
old = 1
new = -1
calibration = 1
"""
CHILD = """
import os, signal, sys
point, armed, done = int(sys.argv[1]), False, 0
def changed(event, arguments):
    global armed, done
    if event == "os.rename" and "/artifacts/train/" in str(arguments[1]):
        armed = True
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if armed and (writes or event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")):
        done += 1
        if done == point:
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "os.rename" and str(arguments[1]).endswith("champion.json"):
            print("alias", done, flush=True)
sys.addaudithook(changed)
from artdetect.cli import main
code = main(["retrain", "--force", *sys.argv[2:]])
print("changes", done, flush=True)
sys.exit(code)
"""


def main() -> None:
    """Print what became of each."""
    with tempfile.TemporaryDirectory(prefix="artdetect-") as place:
        project = Path(place) / "project"
        data_set(project / "data" / "raw" / "art", train=30, test=12)
        for number in range(20):
            write(project / "data" / "incoming" / "AI" / "flux" / f"{number:016x}.jpg", jpeg((7, number), base=200))
        with site(project, TOML) as up:
            up.do("artdetect.cli", "run", "--config", CONFIG)
            whole = _retrained(up, 0, seed=1)
            said = dict(line.split() for line in whole.stdout.splitlines() if line.startswith(("alias", "changes")))
            alias, changes = int(said["alias"]), int(said["changes"])
            print(f"An unbroken retraining changes files {changes:,} times behind train, the alias at {alias:,}.\n")
            print("| killed at change | champion before | after | whole | again |\n|---|---|---|---|---|")
            early = [1 + number * (alias - 3) // (POINTS - 4) for number in range(POINTS - 3)]
            for number, point in enumerate([*early, alias - 1, alias, alias + 1]):
                _killed(up, point, seed=2 + number)


def _killed(up: Site, point: int, seed: int) -> None:
    before = _champion(up)
    assert _retrained(up, point, seed).returncode == -9
    after = _champion(up)
    entry = json.loads(up.do("artdetect.cli", "models", "--json"))
    (champion,) = [row for row in entry if row["mark"] == "champion"]
    whole = champion["key"] == after and champion["fault"] is None
    assert _retrained(up, 0, seed).returncode == 0
    finished = _champion(up)
    assert finished not in (before, None)
    print(f"| {point:,} | {before} | {'as before' if after == before else after} | {whole} | {finished} |", flush=True)


def _champion(up: Site) -> str:
    return json.loads((up.folder / "artifacts" / "models" / "champion.json").read_text())["champion"]["train"]


def _retrained(up: Site, point: int, seed: int) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-c", CHILD, str(point), "--config", CONFIG, "--set", f"train.seed={seed}"]
    return subprocess.run(words, cwd=up.folder, env=up.environment, text=True, capture_output=True)


if __name__ == "__main__":
    main()
