"""What a newcomer pays: from a fresh clone to the first verdict of the starter, by `make base` and by `make setup`.

    python -m benchmarks.newcomer [WORK]

Each way has a clone of its own at the current commit, an empty cache of uv and pip, and a picture that is no part of
the project. Wall time is also that of the network and of what else the machine does.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from artdetect.demo_data.styles import PAINTERS
from benchmarks.harness import PROJECT, Cost, publish, table, timed

OWN = ("ARTDETECT_", "PREFECT_", "PYTHONPATH", "VIRTUAL_ENV")
SETTINGS = ("base", "setup")
SIDE = 640  # pixels of the picture


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, nargs="?", help="a folder for the clones (default: a temporary one)")
    work = parser.parse_args().work
    rows = []
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        for target in SETTINGS:
            folder = Path(scratch, target)
            steps = list(_first_verdict(folder, target))
            total = Cost(sum(cost.cpu for _, cost in steps), sum(cost.wall for _, cost in steps))
            size = f"{_megabytes(folder / 'artdetect' / '.venv'):,.0f}"
            rows += [(f"`{step}`", f"{cost.cpu:.1f}", f"{cost.wall:.1f}", "") for step, cost in steps]
            rows.append((f"to the first verdict, by `make {target}`", f"{total.cpu:.1f}", f"{total.wall:.1f}", size))
            shutil.rmtree(folder)
    text = f"A fresh clone, empty caches of uv and pip, a picture of {SIDE} px; the environment counts as its files."
    publish("Newcomer", f"{text}\n\n{table(('command', 'CPU s', 'wall s', 'MB of the environment'), rows)}")


def _first_verdict(folder: Path, target: str) -> Iterator[tuple[str, Cost]]:
    """Each command that a newcomer types, and its cost."""
    clone, picture = folder / "artdetect", folder / "picture.jpg"
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    environment |= {"UV_CACHE_DIR": str(folder / "uv"), "PIP_CACHE_DIR": str(folder / "pip")}
    yield "git clone", timed(["git", "clone", "--quiet", "--no-hardlinks", str(PROJECT), str(clone)], environment)
    _paint(picture)
    yield f"make {target}", timed(["make", "--directory", str(clone), target], environment)
    program = ["env", f"--chdir={clone}", ".venv/bin/artdetect", "predict", str(picture)]
    yield "artdetect predict picture.jpg", timed(program, environment)


def _paint(file: Path) -> None:
    painting = PAINTERS["impressionism"](np.random.default_rng(0))
    painting.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, quality=90)


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
