"""A disk that is full or read-only at any stage of a whole run: one line, nothing half there, and then on as before.

The disk is a tmpfs in a namespace of its own, where a person without rights may mount one.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import PROJECT
from tests.faults import whole_run as runs

PARTS = 6  # sizes of the disk, as parts of what an undisturbed run takes
PROGRAM = """
import os, subprocess, sys
from pathlib import Path
from tests.faults import whole_run

disk, pictures, *sizes = sys.argv[1:]

def mount(option):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"remount,{option}", "artdetect", disk], check=True)

subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1000m", "artdetect", disk], check=True)
root = Path(disk, "root")
root.mkdir()
for size in sizes:
    state, _, lost = size.partition(":")
    if lost:  # read-only or full, with the artifacts of all stages before these
        mount("rw,size=1000m")
        for stage in lost.split(","):
            subprocess.run(["rm", "-rf", str(root / "artifacts" / stage)], check=True)
        taken = os.statvfs(disk)
        mount("ro" if state == "ro" else f"rw,size={(taken.f_blocks - taken.f_bfree) * taken.f_frsize}")
    else:
        mount(f"rw,size={size}")
    if not (process := os.fork()):
        os._exit(whole_run.child(root, Path(pictures), 0))
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.environ |= {"ARTDETECT_DATA": str(root / "data"), "ARTDETECT_ARTIFACTS": str(root / "artifacts")}
    print(size, code, len(whole_run.outcome(root)), flush=True)
for name, digest in whole_run.outcome(root).items():
    print("outcome", name, digest, flush=True)
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0,
        reason="needs a user namespace to mount a small disk",
    ),
]


def whole_runs(disk: Path, pictures: Path, sizes: list[str]) -> tuple[list[list[str]], dict[str, str], list[str]]:
    """Whole runs on one small disk: for each size its exit code and artifacts; the outcome at the end; the errors."""
    disk.mkdir()
    command = ["unshare", "-rm", sys.executable, "-c", PROGRAM, str(disk), str(pictures), *sizes]
    ended = subprocess.run(command, cwd=PROJECT, text=True, capture_output=True)
    assert ended.returncode == 0, ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines()]
    outcome = {line[1]: line[2] for line in lines if line[0] == "outcome"}
    return [line for line in lines if line[0] != "outcome"], outcome, ended.stderr.splitlines()


def outcome_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("ARTDETECT_DATA", str(root / "data"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
    return runs.outcome(root)


def test_a_full_disk_at_any_stage_is_one_line_and_with_more_room_the_run_ends(
    undisturbed: Path,
    art: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    taken = sum(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file())
    sizes = [f"{taken * (part + 1) // PARTS // 1024}k" for part in range(PARTS)]
    ended, outcome, errors = whole_runs(tmp_path / "disk", art, [*sizes, "1000m"])
    codes = [int(code) for _, code, _ in ended]
    assert codes[-1] == 0
    assert set(codes[:-1]) <= {0, 2}
    assert codes.count(2) >= PARTS // 2
    said = [line for line in errors if "the disk is full" in line]
    assert len(said) == codes.count(2), errors
    assert not [line for line in errors if "Traceback" in line]
    assert outcome == outcome_of(undisturbed, monkeypatch)
    record_property("tries", codes.count(2))


@pytest.mark.parametrize(("state", "said"), [("ro", "read-only"), ("full", "the disk is full")])
def test_a_read_only_or_full_disk_at_each_stage_is_one_line_and_then_the_run_ends(
    state: str,
    said: str,
    undisturbed: Path,
    art: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    stages = ["download", "index", "audit", "balance", "train", "evaluate", "gate", "explain", "report"]
    losses = [f"{state}:{','.join(stages[first:])}" for first in reversed(range(len(stages)))]
    ended, outcome, errors = whole_runs(tmp_path / "disk", art, ["1000m", *losses, "1000m"])
    codes = [int(code) for _, code, _ in ended]
    assert codes == [0, *([2] * len(stages)), 0], (ended, errors)
    assert len([line for line in errors if said in line]) == len(stages), errors
    assert not [line for line in errors if "Traceback" in line]
    assert outcome == outcome_of(undisturbed, monkeypatch)
    record_property("tries", len(stages))
