"""artdetect compared with the notebook, on the same pictures at the same time: training from files, and prediction.

    .venv/bin/python -m benchmarks.notebook_comparison --full

Each side runs in a process of its own. The sides take turns, so that a noisy machine affects both alike; figures are
medians over the rounds. All files are read once beforehand, so that neither side waits for the disk.
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
    """One side's training: the CPU seconds of `EPOCHS` epochs and of one more, as medians over its runs."""

    name: str
    runs: list[Measured]
    pictures: int
    fit: float
    epoch: float

    def each(self, epochs: int) -> float:
        """Milliseconds per picture and epoch: measured for `EPOCHS` epochs, computed for other numbers."""
        return 1000 * (self.fit + (epochs - EPOCHS) * self.epoch) / self.pictures / epochs


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{FULL} pictures instead of {SMALL}")
    parser.add_argument("--pictures", type=int, help="number of pictures")
    parser.add_argument("--rounds", type=int, default=2, help="number of runs of each side")
    parser.add_argument(
        "--thirty", action="store_true", help=f"also measure artdetect for {LONG} epochs instead of computing it"
    )
    parser.add_argument(
        "--work", type=Path, default=WORK, help="folder for pictures and caches; about 60 kB per picture"
    )
    options = parser.parse_args(arguments)
    count = options.pictures or (FULL if options.full else SMALL)
    work = options.work.absolute()
    synthetic_pictures.draw(work / "pictures", count)
    root, pictures = work / f"against-{count}", work / f"against-{count}" / "pictures"
    shutil.rmtree(root, ignore_errors=True)
    synthetic_pictures.link(work / "pictures", pictures, range(count))
    for path in pictures.rglob("*.jpg"):
        path.read_bytes()

    chain = [stages.run(stage, root, pictures) for stage in ("index", "audit", "balance")]
    trained = _trainings(root, pictures, options.rounds)
    thirty = stages.run("train", root, pictures, LONG, {}) if options.thirty else None
    paths = [str(pictures / synthetic_pictures.kind_and_path(number)[1]) for number in range(count)]
    text = f"{_training_text(trained, chain, thirty)}{_predict_text(root, paths, options.rounds)}"
    publish("Against the notebook" if options.full else "Against the notebook, small", text)


def _trainings(root: Path, pictures: Path, rounds: int) -> list[Training]:
    """The notebook, artdetect with defaults, and artdetect in bfloat16."""
    options: dict[str, dict[str, Any]] = {"artdetect": {}, "artdetect, bfloat16": {"precision": "bfloat16"}}
    theirs: list[Measured] = []
    ours: dict[str, list[Measured]] = {name: [] for name in options}
    for number in range(rounds):
        theirs.append(notebook.measured(pictures, EPOCHS, root / "notebook.keras"))
        _print_cost(f"round {number + 1}, notebook", theirs[-1])
        for name, chosen in options.items():
            shutil.rmtree(root / "data" / "cache" / "pixels", ignore_errors=True)
            ours[name].append(stages.run("train", root, pictures, EPOCHS, chosen))
            _print_cost(f"round {number + 1}, {name}", ours[name][-1])
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
    """The notebook's parts after the first epoch, which includes building the graph."""
    return [f"{part} {epoch}" for part in parts for epoch in range(2, EPOCHS + 1)]


def _median(runs: list[Measured], *parts: str) -> float:
    """CPU seconds of these parts together; for parts of later epochs, per epoch."""
    epochs = EPOCHS - 1 if parts[0].endswith(" 2") else 1
    return statistics.median(sum(run.cost(part).cpu for part in parts) for run in runs) / epochs


def _training_text(trained: list[Training], chain: list[Measured], thirty: Measured | None) -> str:
    whole, alone, *ours = trained
    heads = ["CPU ms per picture and epoch", f"{EPOCHS} epochs", f"{LONG} epochs, computed", "one more epoch"]
    rows = [[one.name, *(f"{each:.3f}" for each in _figures(one))] for one in trained]
    for one in ours:
        for base in (whole, alone):
            ratios = [theirs / own for theirs, own in zip(_figures(base), _figures(one), strict=True)]
            rows.append([f"{base.name} / {one.name}", *(f"{ratio:.2f}" for ratio in ratios)])
    run = ""
    if thirty is not None:
        epochs = len(thirty.result["ends"])
        each = 1000 * thirty.cost("work").cpu / thirty.result["pictures"] / epochs
        run = f"{epochs} epochs of artdetect, measured with a filled pixel cache instead of computed: {each:.3f} ms.\n"
    test, validation = whole.runs[0].result["test"], ours[0].runs[0].result["validation"]
    index, audit, balance = (f"{run.cost('work').cpu:.2f}" for run in chain)
    peaks = ", ".join(f"{one.name} {max(run.peak_mb for run in one.runs):.0f} MB" for one in (whole, *ours))
    walls = ", ".join(f"{one.name} {one.runs[0].cost(part).wall:.1f} s" for one, part in _parts_of(whole, ours))
    return f"""
**Train** the notebook's net from files, without caches: the notebook on {whole.pictures:,} pictures, validated on
{test:,} after each epoch; artdetect (preset notebook) on {ours[0].pictures:,}, validated on {validation:,}. Imports are
excluded on both sides. artdetect's figures include decoding (once), validation and writing. The notebook's are given
with validation and, as "its training part", without. {LONG} epochs are computed from the {EPOCHS} measured ones and the
cost of one more epoch, which excludes the first.

{table(heads, rows)}

{run}Wall time of {EPOCHS} epochs, first round: {walls}. Peak memory: {peaks}.
Before training, artdetect needs these CPU seconds once: index {index}, audit {audit}, balance {balance}.
"""


def _figures(one: Training) -> list[float]:
    return [one.each(EPOCHS), one.each(LONG), 1000 * one.epoch / one.pictures]


def _parts_of(whole: Training, ours: list[Training]) -> list[tuple[Training, str]]:
    return [(whole, "fit"), *((one, "work") for one in ours)]


def _predict_text(root: Path, paths: list[str], rounds: int) -> str:
    """Both sides from files, artdetect also from the pixel cache."""
    listed = root / "paths"  # too long for a command line
    listed.write_text("\n".join(paths))
    sides: dict[str, Callable[[], Measured]] = {
        "notebook, from files, one at a time": lambda: measure(
            "benchmarks.notebook:predict", listed, root / "notebook.keras"
        ),
        "artdetect, from files": lambda: stages.run("predict", root, listed),
        "artdetect, from the pixel cache": lambda: stages.run("predict_cached", root, listed),
    }
    runs: dict[str, list[Measured]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            runs[name].append(side())
            _print_cost(f"round {number + 1}, predict, {name}", runs[name][-1])
    rows, base = [], 0.0
    for name, measured in runs.items():
        cpu = _median(measured, "work") / len(paths)
        base = base or cpu
        wall = statistics.median(run.cost("work").wall for run in measured) / len(paths)
        peak = max(run.peak_mb for run in measured)
        rows.append([name, f"{1000 * cpu:.3f}", f"{base / cpu:.2f}", f"{1000 * wall:.3f}", f"{peak:.0f}"])
    heads = ["side", "CPU ms per picture", "ratio", "wall ms per picture", "peak MB"]
    return f"""
**Predict** {len(paths):,} pictures, excluding imports and loading the model on both sides.

{table(heads, rows)}
"""


def _print_cost(label: str, run: Measured) -> None:
    print(f"{label}: {run.whole.cpu:.1f} s CPU, {run.whole.wall:.1f} s, {run.peak_mb:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
