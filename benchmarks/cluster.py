"""The same work by threads and by the workers of a Dask cluster: the same bytes, also where a worker is killed?

    python -m benchmarks.cluster WORK MODEL ... [--pictures 500] [--real FOLDER]

FOLDER (or ARTDETECT_REAL_DATA) holds realart.zip, of which pictures are drawn by lot; each MODEL is an artifact folder.
Models that see 64 pixels or more explain `--large` pictures with 8 steps, others `--small` with the default settings.
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

CREWS = (("threads", 2, False), ("dask", 1, False), ("dask", 2, False), ("dask", 2, True))
FEW = (CREWS[0], CREWS[0], CREWS[2])  # threads twice: where even they give other bits, a cluster cannot give the same
STEPS = 8  # of integrated gradients for a model that costs much


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--small", type=int, default=500, help="pictures for a model that costs little")
    parser.add_argument("--large", type=int, default=96, help="pictures for a model that costs much")
    parser.add_argument("--real", type=Path, default=os.environ.get("ARTDETECT_REAL_DATA"))
    chosen = parser.parse_args()
    if chosen.real is None:
        sys.exit("name the folder of the real pictures with --real or ARTDETECT_REAL_DATA")
    work = chosen.work.absolute()
    os.environ["PREFECT_HOME"] = str(work / "prefect")
    pictures = _drawn(Path(chosen.real), work, chosen.pictures)

    rows = _compared(
        f"facts and pixels, {chosen.pictures} pictures",
        ("facts", "pixels"),
        lambda root, crew: measure("benchmarks.cluster:read", pictures, *crew, data=root / "data"),
        work,
    )
    for model in chosen.models:
        measured = measure("benchmarks.cluster:side", model.absolute()).result
        dear = measured["side"] >= 64
        count, steps = (chosen.large, STEPS) if dear else (chosen.small, None)
        source = _drawn(Path(chosen.real), work, count)
        rows += _compared(
            f"maps, `{measured['id']}`, {count} pictures" + (f", {steps} steps" if steps else ""),
            ("explain",),
            lambda root, crew, given=(source, model.absolute(), steps): measure(
                "benchmarks.cluster:explain", root / "out", *given, *crew, data=root / "data"
            ),
            work,
            FEW if dear else CREWS,
        )
        publish("Cluster", _text(rows))


def _compared(
    what: str, parts: tuple[str, ...], run: Callable[[Path, Any], Measured], work: Path, crews: Sequence[Any] = CREWS
) -> list[list[str]]:
    """A row for each crew; each works in a root of its own, with nothing cached."""
    rows, first, kept = [], None, work / "first"
    for crew in crews:
        root = work / "root"
        shutil.rmtree(root, ignore_errors=True)
        measured = run(root, crew)
        engine, workers, killed = crew
        wall = sum(measured.cost(name).wall for name in parts)
        if first is None:
            first = measured, wall
            shutil.rmtree(kept, ignore_errors=True)
            root.rename(kept)
        same = measured.result["digest"] == first[0].result["digest"]
        rows.append(
            [
                what,
                f"{engine}, {workers}" + (", one killed" if killed else ""),
                f"{wall:.1f}",
                f"{wall / first[1]:.2f}",
                f"{measured.whole.cpu / first[0].whole.cpu:.2f}",
                str(measured.result["killed"]),
                "same" if same else f"{_apart(kept / 'out', root / 'out'):.0e} apart",
            ]
        )
        print(rows[-1], *([] if same else _differing(kept / "out", root / "out")), flush=True)
    return rows


def _differing(one: Path, other: Path) -> list[str]:
    """The files that are not the same in both folders, or in one of them only; without the table's parts."""
    found = [
        {path.relative_to(out).as_posix(): digests.file_digest(path) for path in out.rglob("*.*") if path.is_file()}
        for out in (one, other)
    ]
    names = sorted({*found[0], *found[1]})
    return [name for name in names if found[0].get(name) != found[1].get(name) and not name.startswith("parts/")]


def _apart(one: Path, other: Path) -> float:
    """The largest difference of two batches' heatmaps, in parts of the largest value of each map."""
    import numpy as np

    from artdetect.explain import explanation

    names = sorted(path.relative_to(one) for path in one.rglob("*.npz"))
    maps = [[explanation.load(out / name).heatmap for out in (one, other)] for name in names]
    return max((float(np.abs(mine - theirs).max() / np.abs(mine).max()) for mine, theirs in maps), default=np.nan)


def _text(rows: list[list[str]]) -> str:
    heads = ["what", "who", "wall s", "wall", "CPU", "killed", "bytes"]
    said = (
        "Real pictures. Wall seconds without imports and the start of a cluster; wall and CPU as parts of what two "
        "threads need, CPU of the whole process with all that it started, imports and TensorFlow in every worker "
        "among it. A killed worker's CPU is not counted where nobody waited for it. Others used the machine meanwhile. "
        "The last column says whether index, pixels, figures, arrays and tables are the same bytes as the first row's, "
        "or how far the maps are apart, in parts of their largest value."
    )
    return f"{said}\n\n{table(heads, rows)}"


def _drawn(real: Path, work: Path, count: int) -> Path:
    """A folder with so many pictures."""
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
    """In a process of its own: a model's name and the pixels of its pictures' side."""
    from artdetect.model import predict

    detector = predict.find_model(Path(model))
    return {"id": detector.id, "side": detector.geometry.size}


def read(pictures: str, engine: str, workers: int, kill: bool) -> dict[str, Any]:
    """In a process of its own: index and pixel cache of a folder; what they are."""
    import pandas as pd

    from artdetect import compute, index
    from artdetect.core import paths
    from artdetect.index import scan
    from artdetect.pictures.images import Geometry
    from artdetect.pictures.pixel_cache import PixelCache

    out = paths.data() / "index"
    out.mkdir(parents=True)
    with compute.use_compute(compute.ComputeConfig.model_validate({"engine": engine, "workers": workers})) as crew:
        if engine == "dask":
            list(compute.chunks(_warm, range(workers), 1))

        def busy() -> bool:
            return any(crew.cluster.client.processing().values())

        with _killer(kill, busy) as killed:
            with part("facts"):
                index.run(index.IndexConfig(), scan.scan(Path(pictures)), out)
            rows = pd.read_parquet(out / "index.parquet")
            pixels = PixelCache(Geometry(224, "crop"))
            with part("pixels"):
                pixels.ensure([(row.sha256, Path(pictures, row.path)) for row in rows.itertuples()])
    seen = pixels.read(pixels.rows(list(rows.sha256)))
    digest = hashlib.sha256((out / "index.parquet").read_bytes() + seen.tobytes()).hexdigest()
    return {"digest": digest, "killed": killed()}


def _warm(chunk: tuple[int, ...]) -> None:
    from artdetect.index import file_metadata  # noqa: F401


def explain(
    out: str, pictures: str, model: str, steps: int | None, engine: str, workers: int, kill: bool
) -> dict[str, Any]:
    """In a process of its own: the flow that explains a folder; digest of its figures, arrays and tables."""
    from artdetect.compute import ComputeConfig
    from artdetect.explain.config import ExplainConfig
    from flows.explain import explain as flow

    compute = ComputeConfig.model_validate({"engine": engine, "workers": workers})
    config = ExplainConfig(quality=0, **({"steps": steps} if steps else {}))
    with _killer(kill, lambda: next(Path(out).rglob("*.png"), None) is not None) as killed, part("explain"):
        done = flow(Path(pictures), Path(out), Path(model), config, compute)
    assert not done["errors"]
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(out).rglob("*.*") if path.is_file() and path.parent.name != "parts"):
        digest.update(path.relative_to(out).as_posix().encode() + path.read_bytes())
    return {"digest": digest.hexdigest(), "killed": killed(), "explained": done["explained"]}


@contextmanager
def _killer(kill: bool, ready: Callable[[], bool]) -> Iterator[Callable[[], int]]:
    """If wanted, kills one worker of this process with SIGKILL as soon as it is `ready`; gives how many it killed."""
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
