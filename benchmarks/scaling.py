"""The pipeline's stages at growing sizes: does what a picture costs stay the same, and does memory stay where it is?

    .venv/bin/python -m benchmarks.scaling --full

Pictures are drawn once into the work folder; each size sees them as hard links in a folder of its own, with nothing
cached. Then 1 % new pictures come to the largest folder, and then nothing does.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks import stages, synthetic_pictures
from benchmarks.harness import Measured, publish, table

SMALL, FULL = (500, 1_000, 2_000), (2_000, 8_000, 32_000)
WORK = Path("data/cache/benchmarks")
GROWTH, SLACK_MB = 1.1, 100  # what the peak at the largest size may be, times and plus, against the smallest
REINDEX = 0.03  # CPU of indexing again after 1 % new pictures, as a share of the first time
AGAIN = 3  # times
NO_OP = 1.0  # seconds of CPU to see that nothing changed


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{FULL} pictures instead of {SMALL}")
    parser.add_argument("--sizes", type=int, nargs="+", help="other numbers of pictures, growing")
    parser.add_argument("--epochs", type=int, default=2, help="of training at every size")
    parser.add_argument("--work", type=Path, default=WORK, help="where pictures and caches lie; about 60 kB a picture")
    given = parser.parse_args(arguments)
    sizes = sorted(given.sizes or (FULL if given.full else SMALL))
    source, largest = given.work.absolute() / "pictures", sizes[-1]
    synthetic_pictures.draw(source, largest + AGAIN * max(1, largest // 100))

    runs: dict[int, dict[str, Measured]] = {}
    for size in sizes:
        root = _laid_out(given.work.absolute(), source, size)
        runs[size] = _chain(root, given.epochs)
    again = _again(root, source, largest)
    publish("Rehearsal" if given.full else "Rehearsal, small", _text(runs, again, given.epochs))


def _laid_out(work: Path, source: Path, size: int) -> Path:
    """A fresh root with links to the first `size` pictures."""
    root = work / f"rehearsal-{size}"
    shutil.rmtree(root, ignore_errors=True)
    synthetic_pictures.link(source, root / "pictures", range(size))
    return root


def _chain(root: Path, epochs: int) -> dict[str, Measured]:
    runs = {}
    for stage in stages.CHAIN:
        runs[stage] = stages.run(stage, root, root / "pictures", *([epochs, {}] if stage == "train" else []))
        print(f"{root.name} {stage}: {runs[stage].whole.cpu:.1f} s CPU, {runs[stage].peak_mb:.0f} MB", flush=True)
    return runs


def _again(root: Path, source: Path, size: int) -> dict[str, Measured]:
    """The largest folder once more: with 1 % new pictures, `AGAIN` times, of which the median; then as it is."""
    step, indexed = max(1, size // 100), []
    for start in range(size, size + AGAIN * step, step):
        synthetic_pictures.link(source, root / "pictures", range(start, start + step))
        indexed.append(stages.run("index", root, root / "pictures"))
    median = sorted(indexed, key=lambda run: run.cost("work").cpu)[AGAIN // 2]
    return {"index": median} | {name: stages.run(name, root, root / "pictures") for name in ("scan_again", "glance")}


def _text(runs: dict[int, dict[str, Measured]], again: dict[str, Measured], epochs: int) -> str:
    smallest, largest = min(runs), max(runs)
    heads = ["stage", "pictures", "CPU s", "ms a picture", "wall s", "imports s", "peak MB", "peak holds"]
    rows = []
    for stage in stages.CHAIN:
        for size, run in ((size, runs[size][stage]) for size in runs):
            work, imports = run.cost("work"), run.cost("import")
            limit = runs[smallest][stage].peak_mb * GROWTH + SLACK_MB
            holds = "" if size != largest else "ok" if run.peak_mb <= limit else "NOT ok"
            each = f"{1000 * work.cpu / size:.3f}"
            peak = f"{run.peak_mb:.0f}"
            rows.append(
                [stage, f"{size:,}", f"{work.cpu:.2f}", each, f"{work.wall:.2f}", f"{imports.cpu:.2f}", peak, holds]
            )
    return f"""
CPU and wall time are without imports, whose CPU has a column of its own. Milliseconds are for each picture in the
folder, whether the stage uses it or not. decode fills the pixel cache at 32 px, train is {epochs} epochs of the
notebook preset on it, evaluate includes 1,000 bootstrap resamples. The peak holds if it grows from {smallest:,} to
{largest:,} pictures by at most a tenth and {SLACK_MB} MB.

{table(heads, rows)}
{_changes(runs[largest]["index"], again, largest)}
"""


def _changes(first: Measured, again: dict[str, Measured], size: int) -> str:
    index, scan, glance = (again[name] for name in ("index", "scan_again", "glance"))
    share = index.cost("work").cpu / first.cost("work").cpu
    rows = [
        _row(f"index, the first time, {size:,} pictures", first, ""),
        _row(
            f"index after 1 % new pictures, median of {AGAIN}", index, f"{_said(share <= REINDEX)}: {share:.1%} of it"
        ),
        _row("scan, nothing new", scan, _said(scan.whole.cpu < NO_OP)),
        _row("glance (status), nothing new", glance, _said(glance.whole.cpu < NO_OP)),
    ]
    return f"""
Once more, on the largest folder. Indexing again should take at most {REINDEX:.0%} of the first time's CPU, seeing that
nothing changed less than {NO_OP:.0f} s of CPU with the interpreter's start and all imports.

{table(["what", "CPU s", "without imports s", "wall s", "peak MB", ""], rows)}
"""


def _row(what: str, run: Measured, verdict: str) -> list[str]:
    return [
        what,
        f"{run.whole.cpu:.2f}",
        f"{run.cost('work').cpu:.2f}",
        f"{run.whole.wall:.2f}",
        f"{run.peak_mb:.0f}",
        verdict,
    ]


def _said(holds: bool) -> str:
    return "ok" if holds else "NOT ok"


if __name__ == "__main__":
    main()
