"""artdetect and the notebook on the same pictures in the same minutes: training from files, and verdicts.

    .venv/bin/python -m benchmarks.against_notebook --full

Each side runs in a process of its own, the sides taking turns, so that a noisy machine disturbs them alike; figures are
medians over the rounds. All files have been read once before, so that neither side waits for the disk.
"""

import argparse
import shutil
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import make_pictures, notebook, stages
from benchmarks.harness import Cost, Measured, measure, publish, table
from benchmarks.rehearsal import WORK

SMALL, FULL = 2_000, 30_000
EPOCHS = 3
LONG = 30  # epochs of the notebook's own training


@dataclass
class Training:
    """One side's training: its measured runs, how many pictures trained, and what one more epoch costs."""

    name: str
    runs: list[Measured]
    pictures: int
    epoch: Cost  # with its validation
    training: Cost | None  # of `EPOCHS` epochs without validation, where that can be told apart
    once: str = "work"

    @property
    def fit(self) -> Cost:
        """All of `EPOCHS` epochs from files: what is done once, training and validation."""
        return _median(run.cost(self.once) for run in self.runs)

    def each(self, epochs: int) -> float:
        """CPU milliseconds a picture and epoch over so many epochs, validation included; computed but for `EPOCHS`."""
        return 1000 * (self.fit.cpu + (epochs - EPOCHS) * self.epoch.cpu) / self.pictures / epochs


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
    make_pictures.draw(work / "pictures", count)
    root, pictures = work / f"against-{count}", work / f"against-{count}" / "pictures"
    shutil.rmtree(root, ignore_errors=True)
    make_pictures.link(work / "pictures", pictures, range(count))
    for path in pictures.rglob("*.jpg"):
        path.read_bytes()

    chain = [stages.run(stage, root, pictures) for stage in ("index", "audit", "balance")]
    trained = _trainings(root, pictures, given.rounds)
    thirty = stages.run("train", root, pictures, LONG, {}) if given.thirty else None
    paths = [str(pictures / make_pictures.place(number)[1]) for number in range(count)]
    text = f"{_training_text(trained, chain, thirty)}\n\n{_predict_text(root, paths, given.rounds)}"
    publish("Against the notebook" if given.full else "Against the notebook, small", text)


def _trainings(root: Path, pictures: Path, rounds: int) -> list[Training]:
    """The notebook, then ours as it is by default, then in bfloat16 if there is such an option."""
    options: dict[str, dict[str, Any]] = {"artdetect": {}}
    if measure("benchmarks.stages:has_precision").result:
        options["artdetect, bfloat16"] = {"precision": "bfloat16"}
    theirs, ours = [], {name: [] for name in options}
    for number in range(rounds):
        theirs.append(notebook.measured(pictures, EPOCHS, root / "notebook.keras"))
        _say(f"round {number + 1}, notebook", theirs[-1])
        for name, chosen in options.items():
            shutil.rmtree(root / "data" / "cache" / "pixels", ignore_errors=True)
            ours[name].append(stages.run("train", root, pictures, EPOCHS, chosen))
            _say(f"round {number + 1}, {name}", ours[name][-1])
    epochs = [
        Cost(run.cost("train").cpu / EPOCHS + run.cost("validate").cpu / EPOCHS, run.cost("fit").wall / EPOCHS)
        for run in theirs
    ]
    training = _median(run.cost("train") for run in theirs)
    result = [Training("notebook", theirs, theirs[0].result["pictures"], _median(epochs), training, "fit")]
    for name, runs in ours.items():
        result.append(Training(name, runs, runs[0].result["pictures"], _median(map(stages.epoch, runs)), None))
    return result


def _training_text(trained: list[Training], chain: list[Measured], thirty: Measured | None) -> str:
    theirs, *ours = trained
    assert theirs.training is not None
    alone = 1000 * theirs.training.cpu / theirs.pictures / EPOCHS
    heads = ["CPU ms a picture and epoch", *(one.name for one in trained), *(f"{one.name}: ratio" for one in ours)]
    rows = []

    def row(what: str, base: float, others: list[float]) -> None:
        missing = ["–"] * (len(ours) - len(others))
        figures, ratios = [f"{value:.3f}" for value in others], [f"{base / value:.2f}" for value in others]
        rows.append([what, f"{base:.3f}", *figures, *missing, *ratios, *missing])

    row(f"{EPOCHS} epochs, all of fit", theirs.each(EPOCHS), [one.each(EPOCHS) for one in ours])
    row(f"{EPOCHS} epochs, its training part against all of ours", alone, [one.each(EPOCHS) for one in ours])
    row(f"{LONG} epochs, all of fit (computed)", theirs.each(LONG), [one.each(LONG) for one in ours])
    row(f"{LONG} epochs, its training part (computed)", alone, [one.each(LONG) for one in ours])
    row(
        "one more epoch, with validation",
        1000 * theirs.epoch.cpu / theirs.pictures,
        [1000 * one.epoch.cpu / one.pictures for one in ours],
    )
    if thirty is not None:
        epochs = len(thirty.result["ends"])
        each = 1000 * thirty.cost("work").cpu / epochs / thirty.result["pictures"]
        row(f"{LONG} epochs, all of fit (ours run, {epochs} epochs)", theirs.each(LONG), [each])
    missing = "" if len(ours) > 1 else "There is no train.precision yet, so bfloat16 was not measured."
    test, validation = theirs.runs[0].result["test"], ours[0].runs[0].result["validation"]
    index, audit, balance = (f"{run.cost('work').cpu:.2f}" for run in chain)
    peaks = ", ".join(f"{one.name} {max(run.peak_mb for run in one.runs):.0f} MB" for one in trained)
    walls = ", ".join(f"{one.name} {one.fit.wall:.1f} s" for one in trained)
    return f"""
**Train** the notebook's net from files, nothing cached: the notebook on {theirs.pictures:,} pictures, validated on
{test:,} after each epoch; ours (preset notebook) on {ours[0].pictures:,}, validated on {validation:,}. Without imports
on both sides; ours includes decoding, once. "Computed": measured once-costs plus {LONG} times a measured epoch. Ours
always includes its validation, even where only the notebook's training part counts. {missing}

{table(heads, rows)}

Wall time of {EPOCHS} epochs: {walls}. Peak memory: {peaks}.
Before training ours needs, once, CPU seconds: index {index}, audit {audit}, balance {balance}.
"""


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
    base, *_ = (_median(run.cost("work") for run in measured) for measured in runs.values())
    rows = []
    for name, measured in runs.items():
        cost = _median(run.cost("work") for run in measured)
        each, wall, peak = cost.cpu / len(paths), cost.wall / len(paths), max(run.peak_mb for run in measured)
        ratio = base.cpu / cost.cpu
        rows.append([name, f"{1000 * each:.3f}", f"{ratio:.2f}", f"{1000 * wall:.3f}", f"{peak:.0f}"])
    heads = ["side", "CPU ms a picture", "ratio", "wall ms a picture", "peak MB"]
    return f"""
**Predict** {len(paths):,} pictures. Without imports and without loading the model on both sides.

{table(heads, rows)}
"""


def _median(costs: Iterable[Cost]) -> Cost:
    costs = list(costs)
    return Cost(statistics.median(cost.cpu for cost in costs), statistics.median(cost.wall for cost in costs))


def _say(what: str, run: Measured) -> None:
    print(f"{what}: {run.whole.cpu:.1f} s CPU, {run.whole.wall:.1f} s, {run.peak_mb:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
