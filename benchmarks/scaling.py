"""Measure the stages of the pipeline at growing sizes: do the cost per picture and the memory stay constant?

    .venv/bin/python -m benchmarks.scaling --full

Pictures are drawn once into the work folder. Each size gets hard links to them in its own folder, with empty caches.
Then the largest folder is indexed again with 1 % new pictures, and again without changes.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks import stages, synthetic_pictures
from benchmarks.harness import Measured, publish, table

SMALL, FULL = (500, 1_000, 2_000), (2_000, 8_000, 32_000)
WORK = Path("data/cache/benchmarks")
GROWTH, SLACK_MB = 1.1, 100  # the peak at the largest size may be GROWTH times the smallest one, plus SLACK_MB
REINDEX = 0.03  # CPU time of indexing again after 1 % new pictures, relative to the first time
REPEATS = 3
NO_OP = 1.0  # seconds of CPU time to find that nothing changed


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the measurements and publish the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{FULL} pictures instead of {SMALL}")
    parser.add_argument("--sizes", type=int, nargs="+", help="other numbers of pictures, ascending")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of training at every size")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for pictures and caches; 60 kB per picture")
    options = parser.parse_args(arguments)
    sizes = sorted(options.sizes or (FULL if options.full else SMALL))
    source, largest = options.work.absolute() / "pictures", sizes[-1]
    synthetic_pictures.draw(source, largest + REPEATS * max(1, largest // 100))

    runs: dict[int, dict[str, Measured]] = {}
    for size in sizes:
        root = _prepare_root(options.work.absolute(), source, size)
        runs[size] = _run_stages(root, options.epochs)
    repeated = _repeat(root, source, largest)
    publish("Rehearsal" if options.full else "Rehearsal, small", _text(runs, repeated, options.epochs))


def _prepare_root(work: Path, source: Path, size: int) -> Path:
    """Create an empty root with links to the first `size` pictures."""
    root = work / f"rehearsal-{size}"
    shutil.rmtree(root, ignore_errors=True)
    synthetic_pictures.link(source, root / "pictures", range(size))
    return root


def _run_stages(root: Path, epochs: int) -> dict[str, Measured]:
    runs = {}
    for stage in stages.CHAIN:
        runs[stage] = stages.run(stage, root, root / "pictures", *([epochs, {}] if stage == "train" else []))
        print(f"{root.name} {stage}: {runs[stage].whole.cpu:.1f} s CPU, {runs[stage].peak_mb:.0f} MB", flush=True)
    return runs


def _repeat(root: Path, source: Path, size: int) -> dict[str, Measured]:
    """Index the largest folder again with 1 % new pictures, `REPEATS` times (the median counts); then unchanged."""
    step, indexed = max(1, size // 100), []
    for start in range(size, size + REPEATS * step, step):
        synthetic_pictures.link(source, root / "pictures", range(start, start + step))
        indexed.append(stages.run("index", root, root / "pictures"))
    median = sorted(indexed, key=lambda run: run.cost("work").cpu)[REPEATS // 2]
    return {"index": median} | {
        name: stages.run(name, root, root / "pictures") for name in ("scan_again", "quick_scan")
    }


def _text(runs: dict[int, dict[str, Measured]], repeated: dict[str, Measured], epochs: int) -> str:
    smallest, largest = min(runs), max(runs)
    header = ["stage", "pictures", "CPU s", "ms a picture", "wall s", "imports s", "peak MB", "peak holds"]
    rows = []
    for stage in stages.CHAIN:
        for size, run in ((size, runs[size][stage]) for size in runs):
            work, imports = run.cost("work"), run.cost("import")
            limit = runs[smallest][stage].peak_mb * GROWTH + SLACK_MB
            holds = "" if size != largest else "ok" if run.peak_mb <= limit else "NOT ok"
            per_picture = f"{1000 * work.cpu / size:.3f}"
            peak = f"{run.peak_mb:.0f}"
            times = [f"{seconds:.2f}" for seconds in (work.cpu, work.wall, imports.cpu)]
            rows.append([stage, f"{size:,}", times[0], per_picture, *times[1:], peak, holds])
    return f"""
CPU and wall time exclude imports, whose CPU time is a separate column. Milliseconds are per picture in the folder,
whether the stage uses it or not. decode fills the pixel cache at 32 px, train is {epochs} epochs of the
notebook preset on it, evaluate includes 1,000 bootstrap resamples. The peak holds if it grows from {smallest:,} to
{largest:,} pictures by at most a tenth and {SLACK_MB} MB.

{table(header, rows)}
{_changes(runs[largest]["index"], repeated, largest)}
"""


def _changes(first: Measured, repeated: dict[str, Measured], size: int) -> str:
    index, scan, quick = (repeated[name] for name in ("index", "scan_again", "quick_scan"))
    share = index.cost("work").cpu / first.cost("work").cpu
    rows = [
        _row(f"index, the first time, {size:,} pictures", first, ""),
        _row(
            f"index after 1 % new pictures, median of {REPEATS}",
            index,
            f"{_verdict(share <= REINDEX)}: {share:.1%} of it",
        ),
        _row("scan, nothing new", scan, _verdict(scan.whole.cpu < NO_OP)),
        _row("quick scan (status), nothing new", quick, _verdict(quick.whole.cpu < NO_OP)),
    ]
    return f"""
The largest folder again. Indexing it again should take at most {REINDEX:.0%} of the CPU time of the first time. Finding
that nothing changed should take less than {NO_OP:.0f} s of CPU time, including the start of Python and all imports.

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


def _verdict(holds: bool) -> str:
    return "ok" if holds else "NOT ok"


if __name__ == "__main__":
    main()
