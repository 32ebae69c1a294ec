"""A retraining, killed with SIGKILL at ten points between train and the end of the promotion: who is the champion then?

    python -m benchmarks.crash_recovery

The pictures are synthetic. A point is a change of a file: opening one for writing, renaming or removing one. Each
killed retraining has another seed, and so another challenger. Seven points are spread over the changes that an
uninterrupted retraining makes before the promotion. Three are in the promotion itself: before its file is written,
before the file is renamed, and after that.
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
point, armed, written, renamed, count = sys.argv[1], False, False, False, 0
def on_change(event, arguments):  # called before the change
    global armed, written, renamed, count
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if not (writes or event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")):
        return
    target = str(arguments[1] if event == "os.rename" else arguments[0])
    armed = armed or (event == "os.rename" and "/artifacts/train/" in target)
    count += armed
    here = {str(count)} if armed else set()
    here |= {"after"} if renamed else set()
    if armed and not written and "/artifacts/models/" in target and target.endswith(".tmp"):
        here.add("write")
        written = True
        print("changes", count, flush=True)
    if armed and event == "os.rename" and target.endswith("champion.json"):
        here.add("rename")
        renamed = True
    if point in here:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(on_change)
from artdetect.cli import main
sys.exit(main(["retrain", "--force", *sys.argv[2:]]))
"""


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory(prefix="artdetect-") as scratch:
        project = Path(scratch) / "project"
        data_set(project / "data" / "raw" / "art", train=30, test=12)
        for number in range(20):
            write(project / "data" / "incoming" / "AI" / "flux" / f"{number:016x}.jpg", jpeg((7, number), base=200))
        with site(project, SMALL) as up:
            up.do("artdetect.cli", "run", "--config", CONFIG)
            uninterrupted = _retrain(up, "never", seed=1)
            (changes,) = [
                int(line.split()[1]) for line in uninterrupted.stdout.splitlines() if line.startswith("changes")
            ]
            last = changes - 20  # with other seeds there are a few more or fewer
            points = [*(str(1 + number * (last - 1) // 6) for number in range(7)), "write", "rename", "after"]
            rows = [_killed(up, point, seed=2 + number) for number, point in enumerate(points)]
    heads = ["killed at change", "champion before", "after", "intact", "after an uninterrupted retraining"]
    text = f"An uninterrupted retraining changes files about {changes:,} times between train and the promotion."
    publish("Killed", f"{text}\n\n{table(heads, rows)}")


def _killed(up: Site, point: str, seed: int) -> list[str]:
    before = _champion(up)
    assert _retrain(up, point, seed).returncode == -9
    after = _champion(up)
    models = json.loads(up.do("artdetect.cli", "models", "--json"))
    (champion,) = [row for row in models if row["mark"] == "champion"]
    assert (champion["key"], champion["fault"]) == (after, None)
    assert _retrain(up, "never", seed).returncode == 0
    finished = _champion(up)
    assert finished not in (before, None)
    return [point, before, "unchanged" if after == before else after, "yes", finished]


def _champion(up: Site) -> str:
    return json.loads((up.folder / "artifacts" / "models" / "champion.json").read_text())["champion"]["train"]


def _retrain(up: Site, point: str, seed: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", CHILD, point, "--config", CONFIG, "--set", f"train.seed={seed}"]
    return subprocess.run(command, cwd=up.folder, env=up.environment, text=True, capture_output=True)


if __name__ == "__main__":
    main()
