"""What a collection removes: beside running builds, with leftovers and damage, and killed at any point."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from filelock import FileLock

from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.use_locks import UseLocks
from artdetect.cli import main
from artdetect.core import paths
from artdetect.core.errors import ArtifactError
from artdetect.housekeeping import HousekeepingConfig, pins
from artdetect.housekeeping.garbage_collection import collect
from tests.housekeeping.conftest import KEEP_NO_RUNS, chain, existing, names, reasons, record_run


def test_a_lost_or_damaged_champion_stops_the_collection() -> None:
    keys, other = chain("best"), chain("other")
    record_run(other)
    registry.promote(keys["train"], keys, "a person", "good")
    alias = registry.alias_file()
    for spoil in (lambda: alias.write_text("{"), alias.unlink):
        spoil()
        with pytest.raises(ArtifactError, match=r"champion\.json"):
            collect(KEEP_NO_RUNS)
        assert existing() == names(keys, other)


def test_damaged_pins_or_a_damaged_ledger_stop_the_collection() -> None:
    keys, other = chain("best"), chain("other")
    record_run(other)
    pins.pin(keys["train"])
    pins.file().write_text("[1]")
    with pytest.raises(ArtifactError, match=r"pins\.json"):
        collect(KEEP_NO_RUNS)
    pins.file().unlink()
    (run_ledger.folder() / "20260101T000000000000Z-x.json").write_text('{"id": "x"')
    with pytest.raises(ArtifactError, match="not a file of the run ledger"):
        collect(KEEP_NO_RUNS)
    assert existing() == names(keys, other)


def test_without_any_run_on_record_nothing_is_removed(capsys: pytest.CaptureFixture[str]) -> None:
    keys = chain("before the ledger")
    assert main(["gc"]) == 2
    assert "no run is on record" in capsys.readouterr().err
    assert existing() == names(keys)


# --- while runs build and use artifacts ---


def test_what_a_run_uses_or_builds_stays_until_it_ends(root: Path) -> None:
    used, built, new = chain("used"), chain("built"), chain("new")
    record_run(new)
    locks, lock = UseLocks(), FileLock(store.lock_file("train", built["train"]))
    for name in used.items():
        locks.acquire(*name)
    with lock:
        half = root / "train" / f".{built['train']}-abcdefgh.tmp"
        half.mkdir()
        report = collect(HousekeepingConfig())
        assert half.is_dir()
    assert existing() == names(used, new, {"train": built["train"]})
    assert reasons(report)["used_index"] == reasons(report)["built_train"] == "in use by a run"
    locks.release()
    assert list(collect(HousekeepingConfig()).leftovers) == [f"artifacts/train/{half.name}"]
    assert existing() == names(new)
    assert sorted(path.name for path in root.glob("*/.*")) == []


def test_the_locks_of_a_dead_process_do_not_count() -> None:
    old, new = chain("old"), chain("new")
    record_run(new)
    if not (child := os.fork()):
        locks = UseLocks()
        for name in old.items():
            locks.acquire(*name)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    collect(HousekeepingConfig())
    assert existing() == names(new)


def test_a_run_that_ends_just_before_the_removal_keeps_what_it_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from artdetect.housekeeping import garbage_collection

    old, new = chain("old"), chain("new")
    record_run(new)
    remove_all = garbage_collection._remove_all

    def meanwhile(*arguments):  # the real function, after another run has used what would be removed
        record_run(old)
        return remove_all(*arguments)

    monkeypatch.setattr(garbage_collection, "_remove_all", meanwhile)
    report = collect(HousekeepingConfig())
    assert existing() == names(old, new)
    assert report.total("removed") == (0, 0)


# --- leftovers, damage, caches ---


def test_leftovers_of_dead_processes_are_removed(root: Path) -> None:
    keys = chain("new")
    record_run(keys)
    for name in (".gone-abcdefgh.tmp", ".gone-abcdefgh.old"):
        (root / "train" / name).mkdir()
        (root / "train" / name / "model.keras").write_text("12345")
    stray, fresh, other = root / str(uuid4()), root / str(uuid4()), root / "notes-of-a-person-a-b.txt"
    half, written = run_ledger.folder() / ".x.json-abcdefgh.tmp", run_ledger.folder() / ".y.json-abcdefgh.tmp"
    for file in (stray, fresh, other, half, written):
        file.write_text("an exception")
    for name in (stray, other, half):
        os.utime(name, (0, 0))
    work = paths.cache() / "work"
    for name in ("train-dead", "train-young", "train-alive"):
        (work / name).mkdir(parents=True)
        (work / name / "state.json").write_text("{}")
        if name != "train-young":
            for path in (work / name / "state.json", work / name):
                os.utime(path, (0, 0))
    store.lock_file("train", "gone").touch()
    with FileLock(store.lock_file("train", "alive")):
        report = collect(HousekeepingConfig())
    assert {path.partition("/.")[0] for path in report.leftovers} == {
        "artifacts/train", f"artifacts/{stray.name}", "data/cache/work/train-dead", "artifacts/runs",
    }  # fmt: skip
    assert not stray.exists()
    assert fresh.exists()
    assert (half.exists(), written.exists()) == (False, True)
    assert other.exists()
    assert sorted(path.name for path in work.iterdir()) == ["train-alive", "train-young"]
    assert not store.lock_file("train", "gone").exists()
    assert existing() == names(keys)


def test_what_a_kill_moved_aside_is_put_back_and_judged_like_the_rest(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best, needless, last = chain("best"), chain("needless"), chain("last")
    record_run(last)
    registry.promote(best["train"], best, "me", "good")
    for keys in (best, needless):
        store.place("train", keys["train"]).rename(root / "train" / f".{keys['train']}-abcdefgh.old")
    both = f"train/{best['train']}, train/{needless['train']}"
    assert main(["gc", "--dry-run", "--keep-last", "1", "--keep-days", "0"]) == 0
    assert f"Moved aside by a process that was killed, would be put back: {both}." in capsys.readouterr().out
    assert existing() == names(best, needless, last) - {("train", keys["train"]) for keys in (best, needless)}
    assert main(["gc", "--keep-last", "1", "--keep-days", "0"]) == 0
    assert f"Moved aside by a process that was killed, put back: {both}." in capsys.readouterr().out
    assert existing() == names(best, last)
    assert list(root.glob("train/.*")) == []


def test_a_damaged_folder_is_removed_when_it_is_old(root: Path) -> None:
    keys = chain("new")
    record_run(keys)
    for name, days in (("young", 1), ("old", 40)):
        (root / "train" / name).mkdir()
        (root / "train" / name / "model.keras").write_text("12345")
        os.utime(root / "train" / name, (time.time() - days * 86_400,) * 2)
    report = collect(HousekeepingConfig())
    assert (reasons(report)["young"], reasons(report)["old"]) == ("damaged; not old enough to be removed", "damaged")
    assert (root / "train" / "young").exists()
    assert not (root / "train" / "old").exists()


def test_peoples_outputs_and_unknown_folders_are_never_touched(root: Path) -> None:
    record_run(chain("new"))
    for name in ("explanations/art-1/a.png", "tune/k1/best.toml", "my notes/x.txt"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("12345")
    report = collect(KEEP_NO_RUNS)
    assert all((root / name).exists() for name in ("explanations/art-1/a.png", "tune/k1/best.toml", "my notes/x.txt"))
    assert report.sizes["artifacts/tune"] == 5


def test_caches_are_removed_on_request_and_unfinished_trainings_stay(capsys: pytest.CaptureFixture[str]) -> None:
    record_run(chain("new"))
    for name in (
        "pixels/a/pixels.u8",
        "attributions/b.npz",
        "file_metadata/c/d",
        "work/train-k/state.json",
        "downloads/e.zip",
    ):
        (paths.cache() / name).parent.mkdir(parents=True)
        (paths.cache() / name).write_text("12345")
    assert main(["gc"]) == 0
    assert (paths.cache() / "pixels/a/pixels.u8").exists()
    assert main(["gc", "--cache", "--dry-run"]) == 0
    assert (paths.cache() / "pixels/a/pixels.u8").exists()
    capsys.readouterr()
    assert main(["gc", "--cache"]) == 0
    assert "as long as a first run" in capsys.readouterr().out
    left = [path.relative_to(paths.cache()).as_posix() for path in sorted(paths.cache().rglob("*")) if path.is_file()]
    assert left == ["downloads/e.zip", "work/train-k/state.json"]


def test_the_json_and_the_table_agree(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = chain("old"), chain("new")
    record_run(new)
    assert main(["gc", "--dry-run", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {(row["stage"], row["key"]) for row in report["rows"] if row["fate"] == "removed"} == names(old)
    assert report["totals"]["removed"] == {"artifacts": 4, "bytes": report["freed"]}
    assert main(["gc"]) == 0
    table = capsys.readouterr().out
    assert "removed: nothing needs it" in table
    assert "kept: run blue-cat" in table
    assert "4 artifacts kept" in table


# --- kills ---

KILLED = """
import os, shutil, signal, sys
from artdetect.housekeeping import HousekeepingConfig
from artdetect.housekeeping.garbage_collection import collect
WRITING = {"mkdir", "rename", "rmdir", "unlink"}
for line in sys.stdin:  # an artifacts root, and the number of the writing call before which to die
    root, at = line.split()
    if not (child := os.fork()):
        os.environ["ARTDETECT_ARTIFACTS"], count = root, 0
        def trace(frame, event, argument):
            global count
            if event == "c_call" and argument.__name__ in WRITING:
                count += 1
                if count == int(at):
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(trace)
        collect(HousekeepingConfig())
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.slow
def test_a_kill_at_any_writing_call_leaves_only_whole_artifacts(
    root: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """What is kept is whole, and the next collection has the same result as one that was never killed."""
    chain("old")
    new = chain("new")
    for days in (90, 80):
        record_run({}, days, flow="tune")
    record_run(new)
    (root / "train" / ".gone-abcdefgh.tmp").mkdir()
    killed = 0
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin
        assert child.stdout
        for at in range(1, 1000, 4):
            copy = root.with_name(f"killed-{at}")
            shutil.copytree(root, copy)
            print(copy, at, file=child.stdin, flush=True)
            monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(copy))
            status = int(child.stdout.readline())
            assert names(new) <= existing()
            collect(HousekeepingConfig())
            assert existing() == names(new)
            assert len(run_ledger.read()) == 2
            assert not [path for path in copy.glob("*/.*") if path.parent.name != ".locks"]
            if not status:
                break
            assert os.WTERMSIG(status) == signal.SIGKILL
            killed += 1
        child.stdin.close()
    assert killed >= 5
    record_property("tries", killed)
