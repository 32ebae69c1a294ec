"""Unattended retraining: pictures of an unseen generator go from ingest to a new champion, on a real server and worker.

    ARTDETECT_REAL_DATA=… python -m benchmarks.unattended

Trains on realart.zip, ingests realart-incoming.zip in a burst of ten, waits for the retrainings that follow, rolls
back, and lets the gate decide on a challenger that was trained on shuffled labels.
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

from benchmarks.deployed_project import CONFIG, ENDED, Site, eventually, site
from benchmarks.harness import publish

BURST = 10
TOML = """
download.url = "{pictures}"
[train]
preset = "artnet"
[explain]
pictures_per_group = 1
[report]
title = "Unattended, on real pictures"
"""


def main() -> None:
    """Run all steps and publish what happened."""
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
            publish("Unattended", "\n\n".join(_story(up, old, sorted(new.rglob("*.jpg")), folder)))


def _story(up: Site, old: Path, new: list[Path], folder: Path) -> list[str]:
    """The paragraphs to publish."""
    for _ in range(2):
        up.do("prefect", "deployment", "run", "pipeline/train", "--watch")
    first, second = up.runs("pipeline")
    assert eventually(lambda: set(up.tasks(second).values()) == {"Cached"}), up.tasks(second)
    paragraphs = [
        f"`pipeline/train`: {seconds(first):.0f} s ({_ran(up, first)}); again, every stage Cached: "
        f"{seconds(second):.0f} s."
    ]

    random.Random(129).shuffle(new)
    for number in range(BURST):
        batch = folder / f"batch-{number}"
        batch.mkdir()
        for file in new[number::BURST]:
            shutil.copy(file, batch / f"{file.parent.parent.name}-{file.name}")
        up.do("artdetect.cli", "ingest", batch, "--label", "AI", "--generator", "dreamshaper", "--config", CONFIG)
    assert eventually(lambda: _ended(up, BURST), 3600), up.log()
    runs = up.runs("retrain")
    gated = [run for run in runs if "gate" in up.artifacts(run)]
    times = sorted((run["start_time"], run["end_time"]) for run in runs)
    overlapping = sum(end > start for (_, end), (start, _) in itertools.pairwise(times))
    paragraphs.append(
        f"{len(new)} pictures of DreamShaper in {BURST} ingests: {len(runs)} flow runs, {len(gated)} of them "
        f"retrainings, {overlapping} overlapping; a run without new pictures took {min(map(seconds, runs)):.0f} s."
    )
    for run, decision in zip(gated, _decisions(up), strict=True):
        paragraphs += [f"**{decision['verdict']}**, {seconds(run):.0f} s; ran: {_ran(up, run)}.", _rules(decision)]
    promoted = _champion(up)
    assert promoted["by"] == "retrain"

    up.do("artdetect.cli", "rollback", "--reason", "to try it")
    assert _champion(up)["train"] == promoted["previous"]
    up.do("artdetect.cli", "promote", promoted["train"], "--reason", "back again")
    paragraphs.append("Rolled back to the champion before, and promoted again by hand.")

    shuffled = (up.folder / CONFIG).read_text().replace(str(old), str(_shuffled(old, folder)))
    (up.folder / "shuffled.toml").write_text(shuffled)
    words = ["prefect", "deployment", "run", "retrain/on-new-samples", "--watch", "-p", "force=true"]
    up.do(*words, "-p", "config=shuffled.toml")
    decision = _decisions(up)[-1]
    paragraphs += [f"A challenger that was trained on shuffled labels: **{decision['verdict']}**.", _rules(decision)]
    assert decision["verdict"] == "keep"
    assert _champion(up)["train"] == promoted["train"]
    return paragraphs


def _ran(up: Site, run: dict[str, Any]) -> str:
    """The stages that were not cached, with their seconds."""
    took = up.seconds(run)
    ran = sorted(name for name, state in up.tasks(run).items() if state == "Completed")
    return ", ".join(f"{name} {took[name]:.0f} s" for name in ran)


def _decisions(up: Site) -> list[dict[str, Any]]:
    """The decisions of the gate, the oldest first."""
    records = (up.folder / "artifacts" / "gate").glob("[!.]*/record.json")
    ordered = sorted(records, key=lambda record: json.loads(record.read_text())["started"])
    return [json.loads((record.parent / "gate.json").read_text()) for record in ordered]


def _rules(decision: dict[str, Any]) -> str:
    return "\n".join(f"* {rule['name']}: {rule['sentence']}" for rule in decision["rules"])


def seconds(run: dict[str, Any]) -> float:
    """The duration of a flow run."""
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
    """A copy of the data set whose training pictures are assigned to its training folders at random."""
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
