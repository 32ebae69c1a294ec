"""Threads and Dask clusters on the same work: are the outputs the same bytes, even if a worker is killed?

    python -m benchmarks.cluster WORK MODEL ... [--pictures 500] [--real FOLDER]

FOLDER (or ARTDETECT_REAL_DATA) contains realart.zip, from which pictures are sampled. Each MODEL is an artifact folder.
Models with an input of 64 pixels or more explain `--large` pictures with 8 steps, others `--small` pictures with the
default settings.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from artdetect.core import digests
from benchmarks.harness import Measured, measure, part, publish, table

# (engine, workers, whether one worker is killed)
SETUPS = (("threads", 2, False), ("dask", 1, False), ("dask", 2, False), ("dask", 2, True))
FEW_SETUPS = (SETUPS[0], SETUPS[0], SETUPS[2])  # threads twice: if even their bits differ, a cluster's must, too
EXPENSIVE_STEPS = 8  # steps of integrated gradients for an expensive model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--small", type=int, default=500, help="pictures for a cheap model")
    parser.add_argument("--large", type=int, default=96, help="pictures for an expensive model")
    parser.add_argument("--real", type=Path, default=os.environ.get("ARTDETECT_REAL_DATA"))
    options = parser.parse_args()
    if options.real is None:
        sys.exit("name the folder of the real pictures with --real or ARTDETECT_REAL_DATA")
    work = options.work.absolute()
    os.environ["PREFECT_HOME"] = str(work / "prefect")
    pictures = _sample(Path(options.real), work, options.pictures)

    rows = _compare(
        f"metadata and pixels, {options.pictures} pictures",
        ("file_metadata", "pixels"),
        lambda root, setup: measure("benchmarks.cluster:read", pictures, *setup, data=root / "data"),
        work,
    )
    for model in options.models:
        measured = measure("benchmarks.cluster:side", model.absolute()).result
        expensive = measured["side"] >= 64
        count, steps = (options.large, EXPENSIVE_STEPS) if expensive else (options.small, None)
        source = _sample(Path(options.real), work, count)
        rows += _compare(
            f"maps, `{measured['id']}`, {count} pictures" + (f", {steps} steps" if steps else ""),
            ("explain",),
            lambda root, setup, arguments=(source, model.absolute(), steps): measure(
                "benchmarks.cluster:explain", root / "out", *arguments, *setup, data=root / "data"
            ),
            work,
            FEW_SETUPS if expensive else SETUPS,
        )
        publish("Cluster", _text(rows))


def _compare(
    title: str, parts: tuple[str, ...], run: Callable[[Path, Any], Measured], work: Path, setups: Sequence[Any] = SETUPS
) -> list[list[str]]:
    """One row per setup; each works in its own folder, with nothing cached."""
    rows, first, first_root = [], None, work / "first"
    for setup in setups:
        root = work / "root"
        shutil.rmtree(root, ignore_errors=True)
        measured = run(root, setup)
        engine, workers, killed = setup
        wall = sum(measured.cost(name).wall for name in parts)
        if first is None:
            first = measured, wall
            shutil.rmtree(first_root, ignore_errors=True)
            root.rename(first_root)
        same = measured.result["digest"] == first[0].result["digest"]
        rows.append(
            [
                title,
                f"{engine}, {workers}" + (", one killed" if killed else ""),
                f"{wall:.1f}",
                f"{wall / first[1]:.2f}",
                f"{measured.whole.cpu / first[0].whole.cpu:.2f}",
                str(measured.result["killed"]),
                "same" if same else f"{_max_difference(first_root / 'out', root / 'out'):.0e} apart",
            ]
        )
        print(rows[-1], *([] if same else _differing_files(first_root / "out", root / "out")), flush=True)
    return rows


def _differing_files(one: Path, other: Path) -> list[str]:
    """The files that differ between the folders or exist in only one of them; without the shards of the table."""
    found = [
        {path.relative_to(out).as_posix(): digests.file_digest(path) for path in out.rglob("*.*") if path.is_file()}
        for out in (one, other)
    ]
    names = sorted({*found[0], *found[1]})
    return [name for name in names if found[0].get(name) != found[1].get(name) and not name.startswith("parts/")]


def _max_difference(one: Path, other: Path) -> float:
    """The largest difference between the heatmaps of two jobs, relative to the largest value of each map."""
    import numpy as np

    from artdetect.explain import explanation

    names = sorted(path.relative_to(one) for path in one.rglob("*.npz"))
    maps = [[explanation.load(out / name).heatmap for out in (one, other)] for name in names]
    return max((float(np.abs(first - second).max() / np.abs(first).max()) for first, second in maps), default=np.nan)


def _text(rows: list[list[str]]) -> str:
    heads = ["work", "engine, workers", "wall s", "wall", "CPU", "killed", "bytes"]
    text = (
        "Real pictures. Wall seconds exclude imports and the start of a cluster. Wall and CPU are relative to two "
        "threads; CPU is that of the whole process and its children, including imports and TensorFlow in every worker. "
        "The CPU time of a killed worker is not counted unless its end was awaited. Other work used the machine at the "
        "same time. The last column says whether index, pixels, figures, arrays and tables are the same bytes as in "
        "the first row, or how much the maps differ, relative to their largest value."
    )
    return f"{text}\n\n{table(heads, rows)}"


def _sample(real: Path, work: Path, count: int) -> Path:
    """A folder with a sample of `count` pictures."""
    folder = work / f"pictures-{count}"
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(real / "realart.zip") as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg"))
        for name in random.Random(129).sample(names, count):
            target = folder.joinpath(*PurePosixPath(name).parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read(name))
    return folder


def side(model: str) -> dict[str, Any]:
    """Run in its own process: a model's id and the side of its input in pixels."""
    from artdetect.model import predict

    detector = predict.find_model(Path(model))
    return {"id": detector.id, "side": detector.geometry.size}


def read(pictures: str, engine: str, workers: int, kill: bool) -> dict[str, Any]:
    """Run in its own process: index a folder and fill the pixel cache; returns the digest of both."""
    import pandas as pd

    from artdetect import compute, index
    from artdetect.core import paths
    from artdetect.index import scan
    from artdetect.pictures.images import Geometry
    from artdetect.pictures.pixel_cache import PixelCache

    out = paths.data() / "index"
    out.mkdir(parents=True)
    with compute.use_compute(compute.ComputeConfig.model_validate({"engine": engine, "workers": workers})) as context:
        if engine == "dask":
            list(compute.chunks(_warm, range(workers), 1))

        def busy() -> bool:
            return any(context.cluster.client.processing().values())

        with _killer(kill, busy) as killed:
            with part("file_metadata"):
                index.run(index.IndexConfig(), scan.scan(Path(pictures)), out)
            rows = pd.read_parquet(out / "index.parquet")
            pixels = PixelCache(Geometry(224, "crop"))
            with part("pixels"):
                pixels.ensure([(row.sha256, Path(pictures, row.path)) for row in rows.itertuples()])
    values = pixels.read(pixels.rows(list(rows.sha256)))
    digest = hashlib.sha256((out / "index.parquet").read_bytes() + values.tobytes()).hexdigest()
    return {"digest": digest, "killed": killed()}


def _warm(chunk: tuple[int, ...]) -> None:
    from artdetect.index import file_metadata  # noqa: F401


def explain(
    out: str, pictures: str, model: str, steps: int | None, engine: str, workers: int, kill: bool
) -> dict[str, Any]:
    """Run in its own process: explain a folder with the flow; returns the digest of figures, arrays and tables."""
    from artdetect.compute import ComputeConfig
    from artdetect.explain.config import ExplainConfig
    from flows.explain import explain as flow

    compute = ComputeConfig.model_validate({"engine": engine, "workers": workers})
    config = ExplainConfig(quality_pictures=0, **({"steps": steps} if steps else {}))
    with _killer(kill, lambda: next(Path(out).rglob("*.png"), None) is not None) as killed, part("explain"):
        done = flow(Path(pictures), Path(out), Path(model), config, compute)
    assert not done["errors"]
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(out).rglob("*.*") if path.is_file() and path.parent.name != "parts"):
        digest.update(path.relative_to(out).as_posix().encode() + path.read_bytes())
    return {"digest": digest.hexdigest(), "killed": killed(), "explained": done["explained"]}


@contextmanager
def _killer(kill: bool, ready: Callable[[], bool]) -> Iterator[Callable[[], int]]:
    """If `kill`, kill one worker of this process with SIGKILL once `ready()` is true; yields a count of the killed."""
    import psutil

    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set() and not killed:
            if ready():
                children = psutil.Process().children(recursive=True)
                workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
                busiest = max(workers, key=lambda worker: sum(worker.cpu_times()[:2]))
                os.kill(busiest.pid, signal.SIGKILL)
                killed.append(busiest.pid)
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    if kill:
        watcher.start()
    try:
        yield lambda: len(killed)
    finally:
        over.set()
        if kill:
            watcher.join()


if __name__ == "__main__":
    main()
