"""Killed at any moment of index and decode, the next run ends with the same bytes as one that was never killed.

A child process counts its own calls, in Python and in C, and sends itself SIGKILL before a random one. Half of the
points are calls that write: between pixels and their entries, before an fsync, in the middle of a merge.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import PROJECT
from tests.tiny_dataset import data_set

PICTURES = 48  # 4 chunks of index and decode each
POINTS = 6  # of each kind
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
import numpy, pandas, pyarrow.compute, pyarrow.parquet, scipy.fft
from artdetect import compute, index
from artdetect.artifacts import store
from artdetect.index import scan
from artdetect.index.config import IndexConfig
from artdetect.pictures import pixel_cache
from artdetect.pictures.images import Geometry

scan.CHUNK, pixel_cache.CHUNK, compute.WORKER_CHUNK = 12, 12, 4

def job(root):
    pictures = scan.scan(root)
    if store.verify("index", "key"):
        with store.build("index", "key", {}) as out:
            index.run(IndexConfig(), pictures, out)
    table = pandas.read_parquet(store.place("index", "key") / "index.parquet")
    pixel_cache.PixelCache(Geometry(16, "crop")).ensure([(row.sha256, root / row.path) for row in table.itertuples()])

WRITING = {"write", "flush", "fsync", "truncate", "seek", "open", "close", "mkdir", "replace", "rename", "unlink"}

def count_and_die(kind, at):
    counts = {"any": 0, "writing": 0}
    def count(frame, event, argument):
        if event in ("call", "c_call"):
            counts["any"] += 1
            counts["writing"] += event == "c_call" and argument.__name__ in WRITING
            if counts[kind] == at > 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(count)
    return counts

for line in sys.stdin:  # data root, root of the pictures, kind of call, and the number of the fatal one (0: none)
    data, root, kind, at = line.split()
    if not (child := os.fork()):
        os.environ["ARTDETECT_DATA"], os.environ["ARTDETECT_ARTIFACTS"] = data + "/data", data + "/artifacts"
        counts = count_and_die(kind, int(at))
        job(Path(root))
        Path(data, "calls").write_text(json.dumps(counts))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def outcome(folder: Path) -> dict[str, bytes]:
    """The bytes of the index and of all pixel caches."""
    files = [*folder.glob("artifacts/index/*/index.parquet"), *folder.glob("data/cache/pixels/*/*")]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files if file.suffix != ".lock"}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_the_next_run_ends_with_the_same_bytes(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    pictures = data_set(tmp_path / "art", train=PICTURES // 4 - 3, test=3)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def job(folder: Path, kind: str = "any", at: int = 0) -> int:
            folder.mkdir(exist_ok=True)
            print(folder, pictures, kind, at, file=process.stdin, flush=True)
            return int(process.stdout.readline())  # type: ignore[union-attr]

        assert job(tmp_path / "unbroken") == 0
        expected = outcome(tmp_path / "unbroken")
        assert len(expected) == 3
        calls = json.loads((tmp_path / "unbroken" / "calls").read_text())
        chosen = random.Random(129)
        points = [(kind, at) for kind in calls for at in chosen.sample(range(1, calls[kind]), POINTS)]
        partial = []
        for kind, at in points:
            folder = tmp_path / f"{kind}-{at}"
            assert job(folder, kind, at) == -signal.SIGKILL
            partial.append(outcome(folder) != expected)
            assert job(folder) == 0
            assert outcome(folder) == expected, f"killed at call {at} of {calls[kind]} ({kind})"
        assert sum(partial) > POINTS  # the kills did interrupt the work
        process.stdin.close()
    record_property("tries", len(points))
