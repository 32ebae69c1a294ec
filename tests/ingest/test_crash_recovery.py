"""Killed before any change of a file, an ingest loses nothing, and the next run ends as if there had been no kill.

A child process counts its own changes of files (opening for writing, renaming, removing) and sends itself SIGKILL
before a given one.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from artdetect.config import Config
from tests import PROJECT
from tests.tiny_dataset import jpeg

from .conftest import drop, files, provenance, stored
from .test_folder import stored_name

PROGRAM = """
import os, signal, sys
from pathlib import Path
import numpy, pyarrow.parquet, pyarrow.compute, scipy.fft
from artdetect import config, ingest
from artdetect.core import digests

for module in ("artdetect.index.file_metadata", "artdetect.download"):  # parsed once for all children
    digests.code_digests(module)

def changes(event, arguments):
    if event == "open":
        return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)) and "/data/" in str(arguments[0])
    return event in ("os.rename", "os.remove")

for line in sys.stdin:
    toml, root, last = line.split()
    child = os.fork()
    if not child:
        os.environ["ARTDETECT_DATA"] = f"{root}/data"
        count = 0
        def watch(event, arguments):
            global count
            if changes(event, arguments):
                count += 1
                if count == int(last):
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(watch)
        ingest.inbox(config.load(Path(toml), ["compute.workers=1"]))
        Path(root, "changes").write_text(str(count))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
POINTS = 4  # of about 50
BAD_FILE = b"<html>"
AI_PICTURES = [jpeg(number) for number in (900, 901, 902)]
HUMAN_PICTURE = jpeg(903)
EXPECTED = sorted([*(stored_name(content) for content in AI_PICTURES), stored_name(HUMAN_PICTURE, "human/wikiart")])


def fill(root: Path) -> None:
    for number, content in enumerate(AI_PICTURES):
        drop(root, f"AI/flux/{number}.jpg", content)
    drop(root, "AI/flux/again.jpg", AI_PICTURES[0])
    drop(root, "human/wikiart/bad.jpg", BAD_FILE)
    drop(root, "human/wikiart/painted.jpg", HUMAN_PICTURE)
    drop(root, "human/wikiart/doubtful.jpg", AI_PICTURES[1])


def contents(folder: Path) -> set[bytes]:
    return {(folder / name).read_bytes() for name in files(folder)} if folder.is_dir() else set()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_before_any_change_of_a_file_nothing_is_lost_or_duplicated(
    config: Config, roots: Path, record_property: Callable[[str, object], None]
) -> None:
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
            existing = contents(data / "inbox") | contents(data / "incoming") | contents(data / "rejected")
            assert {*AI_PICTURES, HUMAN_PICTURE, BAD_FILE} <= existing, f"lost at {last}"
            named = {picture["path"] for batch in provenance(root) for picture in batch["pictures"]}
            assert {f"incoming/{path}" for path in stored(root) if "/." not in path} <= named
            assert run(root, 0) == 0
            assert stored(root) == EXPECTED, f"killed at {last}"
            assert all(sha256((data / "incoming" / path).read_bytes()).hexdigest()[:16] in path for path in EXPECTED)
            assert files(data / "inbox") == []
            assert files(data / "rejected") == rejected
            assert not list(data.rglob("*.tmp"))
        process.stdin.close()
    record_property("tries", POINTS)
