"""The load that `artdetect serve` bears: clients on this machine, with batching and without, and more than it can take.

    python -m benchmarks.serve_load --model KEY_FOLDER    2,000 requests a row
    python -m benchmarks.serve_load --model starter --requests 200

Every answer is checked against the row that `predict` gives for its picture. Then more clients than the queue has
places ask at once: some get 503, nobody is lost, and health answers throughout. Wall times are those of the machine as
it is.
"""

import argparse
import io
import resource
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from artdetect import serve
from artdetect.model.detector import Detector
from artdetect.model.predict import predict
from artdetect.serve import intake
from artdetect.serve.feedback import FeedbackFolder
from artdetect.serve.live_model import BATCH, LiveModel
from artdetect.serve.service import Service
from benchmarks.harness import publish, table

CLIENTS = (1, 8, 32)
PICTURES = 64
OVERLOAD = 200  # clients at once


class Served:
    """A running service.

    Args:
        model: What `LiveModel` takes.
        batch: Pictures that one call of the model judges at most.
        feedback: The folder of feedback, if there is one.
    """

    def __init__(self, model: Path, batch: int, feedback: Path | None = None):
        self.service = Service(
            LiveModel(model, batch=batch), 64 * 10**6, FeedbackFolder(feedback) if feedback else None
        )
        self._socket = serve.reserve("127.0.0.1", 0)
        serve.listen(self._socket)
        self.address = serve.address(self._socket)
        self._server = serve.server(self.service, None)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> "Served":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.should_exit = True
        self._thread.join()


def ask(client: httpx.Client, address: str, content: bytes) -> tuple[int, float | None, float]:
    """Status, p(AI) and seconds of a request."""
    start = time.perf_counter()
    answer = client.post(f"{address}/api/v1/predict", content=content)
    p_ai = answer.json()["pictures"][0]["p_ai"] if answer.is_success else None
    return answer.status_code, p_ai, time.perf_counter() - start


def load(served: Served, contents: list[bytes], expected: list[float], clients: int, requests: int) -> list[str]:
    """One row: clients, seconds per request, requests a second, wrong or lost answers, memory."""
    with (
        httpx.Client(timeout=300, limits=httpx.Limits(max_connections=clients)) as client,
        ThreadPoolExecutor(clients) as many,
    ):
        start = time.perf_counter()
        picked = [number % len(contents) for number in range(requests)]
        answers = list(many.map(lambda at: ask(client, served.address, contents[at]), picked))
        wall = time.perf_counter() - start
    lost = sum(status != 200 for status, _, _ in answers)
    wrong = sum(p_ai != expected[at] for at, (_, p_ai, _) in zip(picked, answers, strict=True))
    seconds = sorted(each for _, _, each in answers)
    middle, slow = statistics.median(seconds), seconds[int(0.95 * len(seconds))]
    return [
        f"{clients}",
        f"{1000 * middle:.0f}",
        f"{1000 * slow:.0f}",
        f"{requests / wall:.1f}",
        f"{lost}",
        f"{wrong}",
        f"{memory_mb():.0f}",
    ]


def overload(served: Served, contents: list[bytes]) -> str:
    """More clients than places: how many got which status, and how long health took at most."""
    slowest, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.is_set():
            start = time.perf_counter()
            assert httpx.get(f"{served.address}/healthz", timeout=60).status_code == 200
            slowest[0] = max(slowest[0], time.perf_counter() - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with (
        httpx.Client(timeout=300, limits=httpx.Limits(max_connections=OVERLOAD)) as client,
        ThreadPoolExecutor(OVERLOAD) as many,
    ):
        answers = list(many.map(lambda at: ask(client, served.address, contents[at % PICTURES]), range(2 * OVERLOAD)))
    ended.set()
    watcher.join()
    found = Counter(status for status, _, _ in answers)
    statuses = ", ".join(f"{number} answers {status}" for status, number in sorted(found.items()))
    return (
        f"{OVERLOAD} clients at once, {2 * OVERLOAD} requests, {intake.MAX_PICTURES} places in the queue: {statuses}. "
        f"Health always answered, within {1000 * slowest[0]:.0f} ms."
    )


def memory_mb() -> float:
    """The resident memory of this process, with service and clients."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def pictures(side: int) -> list[bytes]:
    """Noise with structure, as JPEGs of this many pixels a side."""
    drawn = []
    for seed in range(PICTURES):
        blocks = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(blocks).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        drawn.append(file.getvalue())
    return drawn


def main() -> None:
    """Measure and publish."""
    options = argparse.ArgumentParser()
    options.add_argument("--model", type=Path, required=True, help="what `artdetect predict --model` takes")
    options.add_argument("--requests", type=int, default=2000, help="requests a row")
    options.add_argument("--side", type=int, default=512, help="pixels of a side of the pictures")
    chosen = options.parse_args()
    contents = pictures(chosen.side)
    rows: list[list[str]] = []
    model = said = ""
    for batch in (BATCH, 1):
        with Served(chosen.model, batch) as served, tempfile.TemporaryDirectory() as folder:
            model = served.service.live.model.detector.id
            files = [Path(folder, f"{number:03d}.jpg") for number in range(PICTURES)]
            for file, content in zip(files, contents, strict=True):
                file.write_bytes(content)
            detector: Detector = served.service.live.model.detector
            expected = [row.p_ai for row in predict(detector, files)]
            assert None not in expected
            for clients in CLIENTS:
                row = load(served, contents, expected, clients, chosen.requests)  # type: ignore[arg-type]
                rows.append(["on" if batch > 1 else "off", *row])
                print(*rows[-1], sep="\t", flush=True)
            if batch > 1:
                said = overload(served, contents)
            print(said)
    heads = ["batching", "clients", "median ms", "95 % ms", "requests a second", "lost", "other p(AI)", "memory MB"]
    text = f"`artdetect serve` with {model}, JPEGs of {chosen.side} pixels, {chosen.requests:,} requests a row."
    publish(f"Serving {model.partition('-')[0]}", f"{text}\n\n{table(heads, rows)}\n\n{said}")


if __name__ == "__main__":
    main()
