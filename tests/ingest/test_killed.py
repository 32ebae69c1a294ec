"""Killed before any step that changes a file, nothing is lost, and the next run ends as one that was never killed.

A child counts its own changes of files (opening for writing, syncing, renaming, removing) and sends itself SIGKILL
before the one it was told.
"""

import os
import random
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from artdetect.config import Config
from tests import PROJECT
from tests.tiny_dataset import jpeg

from .conftest import drop, files, provenance, stored
from .test_folder import kept_as

PROGRAM = """
import os, signal, sys
from pathlib import Path
import numpy, pyarrow.parquet, pyarrow.compute, scipy.fft
from artdetect import config, digests, ingest

for module in ("artdetect.index.file_metadata", "artdetect.download"):  # parsed once, for all children
    digests.of_code(module)

def changes(event, arguments):
    if event == "open":
        return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)) and "/data/" in str(arguments[0])
    return event in ("os.rename", "os.remove")

for line in sys.stdin:
    toml, root, last = line.split()
    child = os.fork()
    if not child:
        os.environ["ARTDETECT_DATA"] = f"{root}/data"
        seen = 0
        def watch(event, arguments):
            global seen
            if changes(event, arguments):
                seen += 1
                if seen == int(last):
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(watch)
        ingest.inbox(config.load(Path(toml), ["compute.workers=1"]))
        Path(root, "changes").write_text(str(seen))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
POINTS = 4  # of about 50
BAD = b"<html>"
OF_AI = [jpeg(number) for number in (900, 901, 902)]
PAINTED = jpeg(903)
EXPECTED = sorted([*(kept_as(content) for content in OF_AI), kept_as(PAINTED, "human/wikiart")])


def fill(root: Path) -> None:
    for number, content in enumerate(OF_AI):
        drop(root, f"AI/flux/{number}.jpg", content)
    drop(root, "AI/flux/again.jpg", OF_AI[0])
    drop(root, "human/wikiart/bad.jpg", BAD)
    drop(root, "human/wikiart/painted.jpg", PAINTED)
    drop(root, "human/wikiart/doubtful.jpg", OF_AI[1])


def contents(folder: Path) -> set[bytes]:
    return {(folder / name).read_bytes() for name in files(folder)} if folder.is_dir() else set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_before_any_change_of_a_file_nothing_is_lost_or_doubled(config: Config, roots: Path) -> None:
    (roots / "art.toml").write_text(f'[download]\nurl = "{roots}/art"\n')
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout

        def run(root: Path, last: int) -> int:
            print(roots / "art.toml", root, last, file=process.stdin, flush=True)
            return int(process.stdout.readline())  # type: ignore[union-attr]

        fill(roots / "whole")
        assert run(roots / "whole", 0) == 0
        assert stored(roots / "whole") == EXPECTED
        rejected = files(roots / "whole" / "data" / "rejected")
        assert len(rejected) == 4
        changes = int((roots / "whole" / "changes").read_text())
        assert changes > 20
        for last in random.Random(129).sample(range(1, changes + 1), POINTS):
            root = roots / f"at-{last}"
            fill(root)
            assert run(root, last) == -signal.SIGKILL
            data = root / "data"
            there = contents(data / "inbox") | contents(data / "incoming") | contents(data / "rejected")
            assert {*OF_AI, PAINTED, BAD} <= there, f"lost at {last}"
            named = {picture["path"] for batch in provenance(root) for picture in batch["pictures"]}
            assert {f"incoming/{path}" for path in stored(root) if "/." not in path} <= named
            assert run(root, 0) == 0
            assert stored(root) == EXPECTED, f"killed at {last}"
            assert all(sha256((data / "incoming" / path).read_bytes()).hexdigest()[:16] in path for path in EXPECTED)
            assert files(data / "inbox") == []
            assert files(data / "rejected") == rejected
            assert not list(data.rglob("*.tmp"))
        process.stdin.close()
