"""New samples of an unseen generator, from ingest to a new champion, by deployments on a real server and worker.

    ARTDETECT_REAL_DATA=… python -m benchmarks.unattended

Trains on realart.zip, takes in realart-incoming.zip in a burst of ten, waits for the retrainings that follow, rolls
back, and has a challenger judged that learnt from shuffled labels. Prints a Markdown section for benchmarks/results.md.
"""

import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.site import CONFIG, ENDED, Site, eventually, site

BURST = 10
TOML = """
download.url = "{pictures}"
[train]
preset = "artnet"
[explain]
per_rule = 1
[report]
title = "Unattended, on real pictures"
"""


def main() -> None:
    """Run the story and print what came of it."""
    real = Path(os.environ["ARTDETECT_REAL_DATA"])
    with tempfile.TemporaryDirectory(prefix="artdetect-", dir=os.environ.get("TMPDIR")) as place:
        folder = Path(place)
        old, new = (
            _unpacked(real / "realart.zip", folder / "old"),
            _unpacked(real / "realart-incoming.zip", folder / "new"),
        )
        project = folder / "project"
        project.mkdir()
        with site(project, TOML.format(pictures=old)) as up:
            _story(up, old, sorted(new.rglob("*.jpg")), folder)


def _story(up: Site, old: Path, new: list[Path], folder: Path) -> None:
    say("## New samples, unattended", "")
    up.do("prefect", "deployment", "run", "pipeline/train", "--watch")
    up.do("prefect", "deployment", "run", "pipeline/train", "--watch")
    first, second = up.runs("pipeline")
    assert eventually(lambda: set(up.tasks(second).values()) == {"Cached"}), up.tasks(second)
    say(f"`pipeline/train`: {seconds(first):.0f} s; again, every stage Cached: {seconds(second):.0f} s.", "")

    random.Random(129).shuffle(new)
    for number in range(BURST):
        batch = folder / f"batch-{number}"
        batch.mkdir()
        for file in new[number::BURST]:
            shutil.copy(file, batch / f"{file.parent.parent.name}-{file.name}")
        up.do(
            "artdetect.cli", "ingest", batch, "--label", "AI", "--generator", "dreamshaper", "--source", "a benchmark"
        )
    assert eventually(lambda: _ended(up, BURST), 3600), up.log()
    runs = up.runs("retrain")
    judged = [run for run in runs if "gate" in up.artifacts(run)]
    times = sorted((run["start_time"], run["end_time"]) for run in runs)
    overlapping = sum(end > start for (_, end), (start, _) in itertools.pairwise(times))
    say(
        f"{len(new)} pictures of DreamShaper in {BURST} ingests: {len(runs)} flow runs, {len(judged)} of them "
        f"retrainings, {overlapping} overlapping; a run that found nothing new took {min(map(seconds, runs)):.0f} s.",
        "",
    )
    for run in judged:
        ran = [name for name, state in up.tasks(run).items() if state == "Completed"]
        say(f"* {run['name']}: {seconds(run):.0f} s; ran: {', '.join(sorted(ran))}")
        say("", up.artifacts(run)["gate"]["data"], "")
    promoted = _champion(up)
    say(f"Champion: {promoted['train']}: {promoted['why']}", "")

    up.do("artdetect.cli", "rollback", "--why", "to try it")
    back = _champion(up)
    assert back["train"] != promoted["train"]
    up.do("artdetect.cli", "promote", promoted["train"], "--why", "back again")

    (up.folder / "shuffled.toml").write_text(
        (up.folder / CONFIG).read_text().replace(str(old), str(_shuffled(old, folder)))
    )
    words = ["prefect", "deployment", "run", "retrain/on-new-samples", "--watch", "-p", "force=true"]
    up.do(*words, "-p", "config=shuffled.toml")
    refused = up.runs("retrain")[-1]
    say("### A challenger that learnt from shuffled labels", "", up.artifacts(refused)["gate"]["data"], "")
    assert _champion(up)["train"] == promoted["train"]


def say(*lines: str) -> None:
    """Print at once."""
    print(*lines, sep="\n", flush=True)


def seconds(run: dict[str, Any]) -> float:
    """How long a flow run took."""
    return run["total_run_time"]


def _ended(up: Site, count: int) -> bool:
    runs = up.runs("retrain")
    return len(runs) >= count and all(run["state_type"] in ENDED for run in runs)


def _champion(up: Site) -> dict[str, Any]:
    return json.loads((up.folder / "artifacts" / "models" / "champion.json").read_text())["champion"]


def _unpacked(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    (root,) = folder.iterdir()
    return root


def _shuffled(pictures: Path, folder: Path) -> Path:
    """The same data set with its training pictures dealt to its training folders by chance."""
    root = folder / "shuffled"
    shutil.copytree(pictures / "test", root / "test")
    files = sorted((pictures / "train").rglob("*.jpg"))
    places = [file.parent.name for file in files]
    random.Random(129).shuffle(places)
    for number, (file, place) in enumerate(zip(files, places, strict=True)):
        (target := root / "train" / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target / f"{number}.jpg")
    return root


if __name__ == "__main__":
    sys.exit(main())
