"""artdetect and the notebook on the same pictures in the same minutes: training from files, and verdicts.

    .venv/bin/python -m benchmarks.notebook_comparison --full

Each side runs in a process of its own, the sides taking turns, so that a noisy machine disturbs them alike; figures are
medians over the rounds. All files have been read once before, so that neither side waits for the disk.
"""

import argparse
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import notebook, stages, synthetic_pictures
from benchmarks.harness import Measured, measure, publish, table
from benchmarks.scaling import WORK

SMALL, FULL = 2_000, 30_000
EPOCHS = 3
LONG = 30  # epochs of the notebook's own training


@dataclass
class Training:
    """One side's training: CPU seconds of `EPOCHS` epochs and of one more; medians of its runs."""

    name: str
    runs: list[Measured]
    pictures: int
    fit: float
    epoch: float

    def each(self, epochs: int) -> float:
        """Milliseconds a picture and epoch over so many epochs; computed unless they are `EPOCHS`."""
        return 1000 * (self.fit + (epochs - EPOCHS) * self.epoch) / self.pictures / epochs


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{FULL} pictures instead of {SMALL}")
    parser.add_argument("--pictures", type=int, help="another number")
    parser.add_argument("--rounds", type=int, default=2, help="times that each side runs")
    parser.add_argument(
        "--thirty", action="store_true", help=f"also train ours for {LONG} epochs rather than compute it"
    )
    parser.add_argument("--work", type=Path, default=WORK, help="where pictures and caches lie; about 60 kB a picture")
    given = parser.parse_args(arguments)
    count = given.pictures or (FULL if given.full else SMALL)
    work = given.work.absolute()
    synthetic_pictures.draw(work / "pictures", count)
    root, pictures = work / f"against-{count}", work / f"against-{count}" / "pictures"
    shutil.rmtree(root, ignore_errors=True)
    synthetic_pictures.link(work / "pictures", pictures, range(count))
    for path in pictures.rglob("*.jpg"):
        path.read_bytes()

    chain = [stages.run(stage, root, pictures) for stage in ("index", "audit", "balance")]
    trained = _trainings(root, pictures, given.rounds)
    thirty = stages.run("train", root, pictures, LONG, {}) if given.thirty else None
    paths = [str(pictures / synthetic_pictures.place(number)[1]) for number in range(count)]
    text = f"{_training_text(trained, chain, thirty)}{_predict_text(root, paths, given.rounds)}"
    publish("Against the notebook" if given.full else "Against the notebook, small", text)


def _trainings(root: Path, pictures: Path, rounds: int) -> list[Training]:
    """The notebook, then ours as it is by default, then in bfloat16."""
    options: dict[str, dict[str, Any]] = {"artdetect": {}, "artdetect, bfloat16": {"precision": "bfloat16"}}
    theirs: list[Measured] = []
    ours: dict[str, list[Measured]] = {name: [] for name in options}
    for number in range(rounds):
        theirs.append(notebook.measured(pictures, EPOCHS, root / "notebook.keras"))
        _say(f"round {number + 1}, notebook", theirs[-1])
        for name, chosen in options.items():
            shutil.rmtree(root / "data" / "cache" / "pixels", ignore_errors=True)
            ours[name].append(stages.run("train", root, pictures, EPOCHS, chosen))
            _say(f"round {number + 1}, {name}", ours[name][-1])
    size = theirs[0].result["pictures"]
    result = [
        Training("notebook", theirs, size, _median(theirs, "fit"), _median(theirs, *_later("train", "validate"))),
        Training("its training part", theirs, size, _median(theirs, "train"), _median(theirs, *_later("train"))),
    ]
    for name, runs in ours.items():
        epoch = statistics.median(stages.epoch(run) for run in runs)
        result.append(Training(name, runs, runs[0].result["pictures"], _median(runs, "work"), epoch))
    return result


def _later(*parts: str) -> list[str]:
    """The notebook's parts after the first epoch, in which the graph is made."""
    return [f"{part} {epoch}" for part in parts for epoch in range(2, EPOCHS + 1)]


def _median(runs: list[Measured], *parts: str) -> float:
    """CPU seconds of these parts together; of later epochs' parts, one epoch's."""
    epochs = EPOCHS - 1 if parts[0].endswith(" 2") else 1
    return statistics.median(sum(run.cost(part).cpu for part in parts) for run in runs) / epochs


def _training_text(trained: list[Training], chain: list[Measured], thirty: Measured | None) -> str:
    whole, alone, *ours = trained
    heads = ["CPU ms a picture and epoch", f"{EPOCHS} epochs", f"{LONG} epochs, computed", "one more epoch"]
    rows = [[one.name, *(f"{each:.3f}" for each in _figures(one))] for one in trained]
    for one in ours:
        for base in (whole, alone):
            ratios = [theirs / own for theirs, own in zip(_figures(base), _figures(one), strict=True)]
            rows.append([f"{base.name} / {one.name}", *(f"{ratio:.2f}" for ratio in ratios)])
    run = ""
    if thirty is not None:
        epochs = len(thirty.result["ends"])
        each = 1000 * thirty.cost("work").cpu / thirty.result["pictures"] / epochs
        run = f"{epochs} epochs of artdetect, run from a filled pixel cache instead of computed: {each:.3f} ms.\n"
    test, validation = whole.runs[0].result["test"], ours[0].runs[0].result["validation"]
    index, audit, balance = (f"{run.cost('work').cpu:.2f}" for run in chain)
    peaks = ", ".join(f"{one.name} {max(run.peak_mb for run in one.runs):.0f} MB" for one in (whole, *ours))
    walls = ", ".join(f"{one.name} {one.runs[0].cost(part).wall:.1f} s" for one, part in _parts_of(whole, ours))
    return f"""
**Train** the notebook's net from files, nothing cached: the notebook on {whole.pictures:,} pictures, validated on
{test:,} after each epoch; artdetect (preset notebook) on {ours[0].pictures:,}, validated on {validation:,}. Imports are
left out on both sides. artdetect's figures always include its validation and what it writes, and decoding, once; the
notebook's are given with its validation and, as "its training part", without. {LONG} epochs are computed from the
{EPOCHS} measured ones and the cost of one more epoch, which leaves the first one out.

{table(heads, rows)}

{run}Wall time of {EPOCHS} epochs, first round: {walls}. Peak memory: {peaks}.
Before training artdetect needs, once, CPU seconds: index {index}, audit {audit}, balance {balance}.
"""


def _figures(one: Training) -> list[float]:
    return [one.each(EPOCHS), one.each(LONG), 1000 * one.epoch / one.pictures]


def _parts_of(whole: Training, ours: list[Training]) -> list[tuple[Training, str]]:
    return [(whole, "fit"), *((one, "work") for one in ours)]


def _predict_text(root: Path, paths: list[str], rounds: int) -> str:
    """Both sides from files, ours from the pixel cache too."""
    given = root / "paths"  # too long for a command line
    given.write_text("\n".join(paths))
    sides: dict[str, Callable[[], Measured]] = {
        "notebook, from files, one at a time": lambda: measure(
            "benchmarks.notebook:predict", given, root / "notebook.keras"
        ),
        "artdetect, from files": lambda: stages.run("predict", root, given),
        "artdetect, from the pixel cache": lambda: stages.run("predict_cached", root, given),
    }
    runs: dict[str, list[Measured]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            runs[name].append(side())
            _say(f"round {number + 1}, predict, {name}", runs[name][-1])
    rows, base = [], 0.0
    for name, measured in runs.items():
        cpu = _median(measured, "work") / len(paths)
        base = base or cpu
        wall = statistics.median(run.cost("work").wall for run in measured) / len(paths)
        peak = max(run.peak_mb for run in measured)
        rows.append([name, f"{1000 * cpu:.3f}", f"{base / cpu:.2f}", f"{1000 * wall:.3f}", f"{peak:.0f}"])
    heads = ["side", "CPU ms a picture", "ratio", "wall ms a picture", "peak MB"]
    return f"""
**Predict** {len(paths):,} pictures. Without imports and without loading the model on both sides.

{table(heads, rows)}
"""


def _say(what: str, run: Measured) -> None:
    print(f"{what}: {run.whole.cpu:.1f} s CPU, {run.whole.wall:.1f} s, {run.peak_mb:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
