"""A retraining, killed with SIGKILL at ten points between train and the end of the promotion: which champion is there.

    python -m benchmarks.crash_recovery

Pictures are made up. A point is a change of a file: opening one to write, renaming, removing. Each killed retraining
has another seed, and so another challenger. Seven points are spread over the changes that an unbroken one makes before
the promotion; three are those of the promotion itself: before its file is written, before that gets its name, behind.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.deployed_project import CONFIG, SMALL, Site, site
from benchmarks.harness import publish, table
from tests.tiny_dataset import data_set, jpeg, write

CHILD = """
import os, signal, sys
point, armed, moved, done = sys.argv[1], False, False, 0
def changed(event, arguments):  # before it happens
    global armed, moved, done
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if not (writes or event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")):
        return
    target = str(arguments[1] if event == "os.rename" else arguments[0])
    armed = armed or (event == "os.rename" and "/artifacts/train/" in target)
    done += armed
    here = {str(done)} if armed else set()
    here |= {"behind"} if moved else set()
    if armed and target.endswith(".champion.tmp"):
        here.add("file")
        print("changes", done, flush=True)
    if armed and target.endswith("champion.json"):
        here.add("name")
        moved = True
    if point in here:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(changed)
from artdetect.cli import main
sys.exit(main(["retrain", "--force", *sys.argv[2:]]))
"""


def main() -> None:
    """Publish what became of each."""
    with tempfile.TemporaryDirectory(prefix="artdetect-") as place:
        project = Path(place) / "project"
        data_set(project / "data" / "raw" / "art", train=30, test=12)
        for number in range(20):
            write(project / "data" / "incoming" / "AI" / "flux" / f"{number:016x}.jpg", jpeg((7, number), base=200))
        with site(project, SMALL) as up:
            up.do("artdetect.cli", "run", "--config", CONFIG)
            whole = _retrained(up, "never", seed=1)
            (changes,) = [int(line.split()[1]) for line in whole.stdout.splitlines() if line.startswith("changes")]
            last = changes - 20  # other seeds make a few more or less
            points = [*(str(1 + number * (last - 1) // 6) for number in range(7)), "file", "name", "behind"]
            rows = [_killed(up, point, seed=2 + number) for number, point in enumerate(points)]
    heads = ["killed at change", "champion before", "after", "whole", "after a retraining unbroken"]
    text = f"An unbroken retraining changes files about {changes:,} times between train and the promotion."
    publish("Killed", f"{text}\n\n{table(heads, rows)}")


def _killed(up: Site, point: str, seed: int) -> list[str]:
    before = _champion(up)
    assert _retrained(up, point, seed).returncode == -9
    after = _champion(up)
    entry = json.loads(up.do("artdetect.cli", "models", "--json"))
    (champion,) = [row for row in entry if row["mark"] == "champion"]
    whole = champion["key"] == after and champion["fault"] is None
    assert whole
    assert _retrained(up, "never", seed).returncode == 0
    finished = _champion(up)
    assert finished not in (before, None)
    return [point, before, "as before" if after == before else after, "yes", finished]


def _champion(up: Site) -> str:
    return json.loads((up.folder / "artifacts" / "models" / "champion.json").read_text())["champion"]["train"]


def _retrained(up: Site, point: str, seed: int) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-c", CHILD, point, "--config", CONFIG, "--set", f"train.seed={seed}"]
    return subprocess.run(words, cwd=up.folder, env=up.environment, text=True, capture_output=True)


if __name__ == "__main__":
    main()
