"""The memory in which artnet's head is fitted, by the number of pictures: features are drawn, not computed.

    python -m benchmarks.head_memory WORK --pictures 8000 40000

It fits one embedding of five views and one linear head, as train does a few dozen times. Memory is what the process
holds beside files: pages of the scratch file of embeddings can be given back at any time.
"""

import argparse
import re
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Measured, measure, part, publish, table

VIEWS, WIDTH, COMPONENTS = 5, 1504, 800


class DrawnFeatures:
    """Features of pictures that are named by their number, as `FeatureCache.read` gives them."""

    def __init__(self, view: int):
        self._random = np.random.default_rng(view)
        self._mixing = np.random.default_rng(9).standard_normal((64, WIDTH)).astype(np.float32)

    def read(self, names: list[str]) -> np.ndarray:
        """float32 [n, WIDTH]; the first half of the numbers' pictures differ from the others by a little."""
        few = self._random.standard_normal((len(names), 64), np.float32)
        few[:, 0] += np.array([int(name) % 2 for name in names], np.float32)
        noise = self._random.standard_normal((len(names), WIDTH), np.float32)
        return few @ self._mixing + noise


def fit(count: int) -> dict[str, Any]:
    """Fit a head on drawn features of this many pictures; returns the largest memory beside files, in MB."""
    import pandas as pd

    from artdetect.train import artnet, heads

    views: Any = [DrawnFeatures(view) for view in range(VIEWS)]
    table_of_pictures = pd.DataFrame({"sha256": [str(number) for number in range(count)]})
    classes = np.arange(count) % 2
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], _anonymous_mb())

    threading.Thread(target=watch, daemon=True).start()
    with part("moments"):
        shift = views[0].read(list(table_of_pictures.sha256[: artnet.CHUNK])).mean(axis=0)
        moments = heads.Moments.of(artnet._chunks(views, table_of_pictures), shift)
    with part("embedding"):
        space = artnet._Space(views, table_of_pictures, moments, COMPONENTS)
    with part("head"):
        head = space.fit(classes, np.ones(count, np.float32), "linear", 0.1, 0)
    done.set()
    time.sleep(0.2)
    right = np.mean([(artnet._ai_logits(head, x) < 0) == classes[: len(x)] for x in (space.x[0][: artnet.CHUNK],)])
    return {"peak": peak[0], "right": float(right), "scratch": space.x.nbytes / 1e6}


def _anonymous_mb() -> float:
    status = Path("/proc/self/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--pictures", type=int, nargs="+", default=[8_000, 40_000])
    options = parser.parse_args()
    runs: dict[int, Measured] = {
        count: measure("benchmarks.head_memory:fit", count, data=options.work / "data") for count in options.pictures
    }
    rows = [
        [
            f"{count:,}",
            f"{run.result['peak']:,.0f}",
            f"{run.result['scratch']:,.0f}",
            *(f"{run.cost(name).cpu:,.0f}" for name in ("moments", "embedding", "head")),
        ]
        for count, run in runs.items()
    ]
    heads = ["pictures", "memory MB", "scratch file MB", "moments CPU s", "embedding CPU s", "head CPU s"]
    text = f"{VIEWS} views of {WIDTH} drawn features, {COMPONENTS} components, one head."
    publish("Memory of artnet's head", f"{text}\n\n{table(heads, rows)}")


if __name__ == "__main__":
    main()
