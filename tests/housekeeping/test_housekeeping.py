"""Garbage collection on made-up artifacts: what stays and what goes, beside whom, and killed at any point."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from filelock import FileLock

from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.run_ledger import Run, StageRecord
from artdetect.artifacts.use_locks import UseLocks
from artdetect.cli import main
from artdetect.core import paths
from artdetect.core.errors import ArtifactError, ConfigError
from artdetect.housekeeping import HousekeepingConfig, inventory, pins
from artdetect.housekeeping.garbage_collection import GcReport, collect

CHAIN = {"index": (), "balance": ("index",), "train": ("balance",), "evaluate": ("index", "balance", "train")}
NONE = HousekeepingConfig(keep_last=0, keep_days=0)


@pytest.fixture(autouse=True)
def root(roots: Path) -> Path:
    return roots / "artifacts"


def make(stage: str, key: str, text: str = "", **inputs: str) -> str:
    """An artifact of this stage, made from the artifacts with these keys; its key."""
    digests = {source: store.at(source, of).digest for source, of in inputs.items()}
    with store.build(stage, key, {"inputs": digests}) as out:
        (out / "out.txt").write_text(text or key)
    return key


def chain(name: str, **shared: str) -> dict[str, str]:
    """Stage -> key of a whole chain; `shared` are artifacts that are there already."""
    keys: dict[str, str] = {}
    for stage, sources in CHAIN.items():
        keys[stage] = shared.get(stage) or make(
            stage, f"{name}_{stage}", **{source: keys[source] for source in sources}
        )
    return keys


def ran(keys: dict[str, str], days_ago: float = 0, flow: str = "pipeline", **more: object) -> Run:
    """A run on record that used these."""
    time = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    uses = [StageRecord(stage=stage, key=key, ran=True, why="", seconds=1) for stage, key in keys.items()]
    run = Run(
        id=uuid4().hex, flow=flow, name="blue-cat", began=time, ended=time,
        **{"state": "completed", "stages": uses} | more,
    )  # fmt: skip
    run_ledger.write(run)
    return run


def there() -> set[tuple[str, str]]:
    """(stage, key) of all that counts as an artifact, each checked against its record."""
    found = {(item.stage, item.key) for item in inventory.artifacts()}
    assert {name: store.verify(*name) for name in found} == dict.fromkeys(found)
    return found


def names(*chains: dict[str, str]) -> set[tuple[str, str]]:
    return {name for keys in chains for name in keys.items()}


def why(found: GcReport) -> dict[str, str]:
    return {row.key: row.why for row in found.rows}


# --- what is kept ---


def test_what_no_run_used_goes_and_a_dry_run_says_the_same(root: Path) -> None:
    old, new = chain("old"), chain("new")
    ran(new)
    said = collect(HousekeepingConfig(dry_run=True))
    assert there() == names(old, new)
    done = collect(HousekeepingConfig())
    assert there() == names(new)
    assert [(row.key, row.fate, row.why) for row in said.rows] == [(row.key, row.fate, row.why) for row in done.rows]
    assert (said.freed, said.total("removed")) == (done.freed, done.total("removed"))
    assert done.total("removed") == (4, sum(len(key) for key in old.values()))
    assert {line["key"] for line in store.journal("train")} == {"old_train", "new_train"}  # the memory for "why"
    assert not list((root / ".locks").glob("*old*"))


def test_recent_are_the_last_runs_and_those_of_the_last_days() -> None:
    chains = [chain(f"run{number}") for number in range(4)]
    for days_ago, keys in zip((40, 20, 5, 1), chains, strict=True):
        ran(keys, days_ago)
    ran({}, flow="housekeeping")  # counts for nothing

    def goes(**config: float) -> set[tuple[str, str]]:
        rows = collect(HousekeepingConfig(dry_run=True, **config)).rows
        return {(row.stage, row.key) for row in rows if row.fate == "removed"}

    assert goes(keep_last=1, keep_days=0) == names(*chains[:3])
    assert goes(keep_last=0, keep_days=10) == names(*chains[:2])
    assert goes(keep_last=3, keep_days=2) == names(chains[0])
    assert goes(keep_last=0, keep_days=30) == names(chains[0])
    assert goes(keep_last=4, keep_days=0) == set()


def test_an_old_artifact_that_a_recent_run_used_again_stays() -> None:
    shared, gone = make("index", "shared"), chain("gone")
    ran(gone | {"index": "shared"}, 90)
    new = chain("new", index=shared)
    ran(new)
    collect(HousekeepingConfig(keep_last=1))
    assert there() == names(new)


def test_a_run_that_found_all_current_counts_as_a_use() -> None:
    b, a = chain("b"), chain("a")
    ran(a, 60)
    ran(b, 50)
    run_ledger.refresh([store.at(*name) for name in a.items()])
    assert len(run_ledger.read()) == 2
    collect(HousekeepingConfig(keep_last=1, keep_days=0))
    assert there() == names(a)


def test_champions_that_rollback_reaches_stay_and_one_gone_back_from_goes() -> None:
    first, second, third, last = (chain(name) for name in ("first", "second", "third", "last"))
    registry.promote(first["train"], first, "a person", "first")
    registry.promote(second["train"], second, "a person", "better")
    registry.promote(third["train"], third, "a person", "a mistake")
    registry.rollback("a person", "worse")
    ran(last, 90)
    assert registry.champion().train == second["train"]  # type: ignore[union-attr]
    found = collect(NONE)
    assert there() == names(first, second)
    assert (why(found)["second_train"], why(found)["first_train"]) == ("champion", "champion before, 1 back")
    registry.rollback("a person", "the first was best")


def test_a_pin_keeps_what_it_came_from_until_it_is_removed(capsys: pytest.CaptureFixture[str]) -> None:
    pinned, new = chain("pinned"), chain("new")
    make("evaluate", "another", **{stage: pinned[stage] for stage in CHAIN["evaluate"]})
    ran(new)
    assert main(["pin", "pinned_tr", "--why", "for the paper"]) == 0
    found = collect(HousekeepingConfig())
    del pinned["evaluate"]
    assert there() == names(pinned, new)
    assert why(found)["pinned_index"] == "pinned: for the paper"
    with pytest.raises(ArtifactError, match="could be index/pinned_index, "):
        pins.pin("pinn")
    with pytest.raises(ArtifactError, match="no such key"):
        pins.pin("absent")
    with pytest.raises(ConfigError, match="4 characters"):
        pins.pin("pin")
    assert main(["pin", "pinned_train", "--remove"]) == 0
    assert "train/pinned_train is no longer pinned" in capsys.readouterr().out
    collect(HousekeepingConfig())
    assert there() == names(new)


def test_of_equal_outputs_the_one_stays_that_the_user_was_made_from() -> None:
    for key in ("early", "middle", "late"):
        make("balance", key, "the same")
        if key == "middle":
            make("train", "model", balance="middle")
    ran({"train": "model"})
    collect(HousekeepingConfig())
    assert there() == {("balance", "middle"), ("train", "model")}


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_what_a_gone_or_damaged_artifact_came_from_is_known_from_the_journal(root: Path, damage: str) -> None:
    keys = chain("only")
    ran({"train": keys["train"]})
    folder = root / "train" / keys["train"]
    if damage == "gone":
        shutil.rmtree(folder)
    else:
        (folder / "record.json").write_text("{")
        os.utime(folder, (0, 0))
    found = collect(HousekeepingConfig())
    kept = {row.key for row in found.rows if row.fate == "kept"}
    assert kept == {"only_index", "only_balance"} | ({"only_train"} if damage == "damaged" else set())


def test_the_newest_model_stays_where_there_is_no_champion() -> None:
    old, new = chain("old"), chain("new")
    ran(old)
    collect(HousekeepingConfig())
    del new["evaluate"]
    assert there() == names(old, new)
    registry.promote(old["train"], old, "a person", "good")
    collect(HousekeepingConfig())
    assert there() == names(old)


def test_the_index_that_the_last_retraining_saw_stays() -> None:
    judged, new = chain("judged"), chain("new")
    registry.promote(new["train"], new, "a person", "good")
    ran(judged, 90, flow="retrain")
    ran(new)
    collect(HousekeepingConfig(keep_last=1))
    assert there() == names(new, {"index": judged["index"]})


# --- what stays on record ---


def on_record() -> set[str]:
    return {run.id for run in run_ledger.read()}


def test_runs_that_nothing_counts_any_more_leave_the_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run says how many there are, and of what size; so does the JSON."""
    old = [ran({"index": make("index", f"i{number}")}, 90 - number) for number in range(3)]
    swept = [ran({}, days, flow="housekeeping") for days in (60, 50, 3)]
    new = [ran({"index": make("index", f"n{number}")}, days) for number, days in enumerate((50, 5, 4))]
    gone = [*old, *swept[:2]]
    size = sum(run_ledger.file(run).stat().st_size for run in gone)
    keep = ["--keep-last", "3", "--keep-days", "10"]
    assert main(["gc", *keep, "--dry-run"]) == 0
    assert f"Old runs would be removed from the ledger: 5, {size / 1000:.1f} kB." in capsys.readouterr().out
    assert on_record() == {run.id for run in [*old, *swept, *new]}
    assert main(["gc", *keep, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ledger_files"], said["ledger_bytes"]) == (5, size)
    assert said["freed"] == size + said["totals"]["removed"]["bytes"]
    assert on_record() == {run.id for run in [swept[2], *new]}
    assert main(["gc", *keep]) == 0
    assert "ledger" not in capsys.readouterr().out


def test_runs_that_built_what_a_champion_or_a_pin_names_stay_on_record() -> None:
    best, pinned, other = chain("best"), chain("pinned"), chain("other")
    made = [ran(best, 90), ran(pinned, 80)]
    used = [StageRecord(stage="train", key=best["train"], ran=False, why="", seconds=1)]
    ran({}, 70, stages=used)  # which only found the champion cached
    ran(other, 60)
    registry.promote(best["train"], best, "a person", "good")
    pins.pin(pinned["evaluate"])
    last = ran(chain("last"))
    collect(NONE)
    assert on_record() == {run.id for run in [*made, last]}
    pins.unpin(pinned["evaluate"])
    collect(NONE)
    assert on_record() == {made[0].id, last.id}


def test_of_each_flow_the_last_run_and_the_last_good_one_stay_on_record() -> None:
    """By these it is known when a flow last worked, and what the last retraining saw."""
    judged, new = chain("judged"), chain("new")
    ran({"index": judged["index"]}, 95, flow="retrain")
    good = ran(judged, 90, flow="retrain")
    ran({}, 80, flow="retrain", state="failed", error="ModelError: no")
    failed = ran({}, 70, flow="retrain", state="failed", error="ModelError: no")
    tuned = ran({}, 99, flow="tune")
    last = ran(new)
    registry.promote(new["train"], new, "a person", "good")
    collect(NONE)
    assert on_record() == {run.id for run in (good, failed, tuned, last)}
    assert there() == names(new, {"index": judged["index"]})


def test_a_run_that_is_refreshed_while_it_is_forgotten_stays_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    from artdetect.housekeeping import retention

    make("index", "pinned")
    pins.pin("pinned")
    used = ran({}, 90, stages=[StageRecord(stage="index", key="pinned", ran=False, why="", seconds=1)])
    last = ran(chain("last"), 80)
    forgotten = retention.prunable_runs

    def meanwhile(last: int, days: float) -> list[Run]:  # the real function, before `artdetect run` finds all current
        found = forgotten(last, days)
        assert [run.id for run in found] == [used.id]
        run_ledger.refresh([store.at("index", "pinned")])
        return found

    monkeypatch.setattr(retention, "prunable_runs", meanwhile)
    collect(NONE)
    assert [run.id for run in run_ledger.read()] == [last.id, used.id]


# --- when nothing may go ---


def test_a_lost_or_damaged_champion_stops_the_collection() -> None:
    keys, other = chain("best"), chain("other")
    ran(other)
    registry.promote(keys["train"], keys, "a person", "good")
    alias = registry.alias_file()
    for spoil in (lambda: alias.write_text("{"), alias.unlink):
        spoil()
        with pytest.raises(ArtifactError, match=r"champion\.json"):
            collect(NONE)
        assert there() == names(keys, other)


def test_damaged_pins_or_a_damaged_ledger_stop_the_collection() -> None:
    keys, other = chain("best"), chain("other")
    ran(other)
    pins.pin(keys["train"])
    pins.file().write_text("[1]")
    with pytest.raises(ArtifactError, match=r"pins\.json"):
        collect(NONE)
    pins.file().unlink()
    (run_ledger.folder() / "20260101T000000000000Z-x.json").write_text('{"id": "x"')
    with pytest.raises(ArtifactError, match="not a file of the run ledger"):
        collect(NONE)
    assert there() == names(keys, other)


def test_without_any_run_on_record_nothing_goes(capsys: pytest.CaptureFixture[str]) -> None:
    keys = chain("before the ledger")
    assert main(["gc"]) == 2
    assert "no run is on record" in capsys.readouterr().err
    assert there() == names(keys)


# --- beside running builds ---


def test_what_a_run_claims_or_builds_stays_until_it_ends(root: Path) -> None:
    used, built, new = chain("used"), chain("built"), chain("new")
    ran(new)
    claims, lock = UseLocks(), FileLock(store.lock_file("train", built["train"]))
    for name in used.items():
        claims.claim(*name)
    with lock:
        half = root / "train" / f".{built['train']}-abcdefgh.tmp"
        half.mkdir()
        found = collect(HousekeepingConfig())
        assert half.is_dir()
    assert there() == names(used, new, {"train": built["train"]})
    assert why(found)["used_index"] == why(found)["built_train"] == "in use by a run"
    claims.release()
    assert list(collect(HousekeepingConfig()).leftovers) == [f"artifacts/train/{half.name}"]
    assert there() == names(new)
    assert sorted(path.name for path in root.glob("*/.*")) == []


def test_a_dead_holder_claims_nothing() -> None:
    old, new = chain("old"), chain("new")
    ran(new)
    if not (child := os.fork()):
        claims = UseLocks()
        for name in old.items():
            claims.claim(*name)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    collect(HousekeepingConfig())
    assert there() == names(new)


def test_a_run_that_ends_between_the_look_and_the_removal_keeps_what_it_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from artdetect.housekeeping import garbage_collection as module

    old, new = chain("old"), chain("new")
    ran(new)
    looked = module._removed

    def meanwhile(*arguments):  # the real function, after another run has used what was to go
        ran(old)
        return looked(*arguments)

    monkeypatch.setattr(module, "_removed", meanwhile)
    found = collect(HousekeepingConfig())
    assert there() == names(old, new)
    assert found.total("removed") == (0, 0)


# --- leftovers, damage, caches ---


def test_what_the_dead_left_goes(root: Path) -> None:
    keys = chain("new")
    ran(keys)
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
        found = collect(HousekeepingConfig())
    assert {path.partition("/.")[0] for path in found.leftovers} == {
        "artifacts/train", f"artifacts/{stray.name}", "data/cache/work/train-dead", "artifacts/runs",
    }  # fmt: skip
    assert not stray.exists()
    assert fresh.exists()
    assert (half.exists(), written.exists()) == (False, True)
    assert other.exists()
    assert sorted(path.name for path in work.iterdir()) == ["train-alive", "train-young"]
    assert not store.lock_file("train", "gone").exists()
    assert there() == names(keys)


def test_a_damaged_folder_goes_when_it_is_old(root: Path) -> None:
    keys = chain("new")
    ran(keys)
    for name, days in (("young", 1), ("old", 40)):
        (root / "train" / name).mkdir()
        (root / "train" / name / "model.keras").write_text("12345")
        os.utime(root / "train" / name, (time.time() - days * 86_400,) * 2)
    found = collect(HousekeepingConfig())
    assert (why(found)["young"], why(found)["old"]) == ("damaged; not old enough to go", "damaged")
    assert (root / "train" / "young").exists()
    assert not (root / "train" / "old").exists()


def test_peoples_outputs_and_unknown_folders_are_never_touched(root: Path) -> None:
    ran(chain("new"))
    for name in ("explanations/art-1/a.png", "tune/k1/best.toml", "my notes/x.txt"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("12345")
    found = collect(NONE)
    assert all((root / name).exists() for name in ("explanations/art-1/a.png", "tune/k1/best.toml", "my notes/x.txt"))
    assert found.sizes["artifacts/tune"] == 5


def test_caches_go_on_request_and_unfinished_trainings_stay(capsys: pytest.CaptureFixture[str]) -> None:
    ran(chain("new"))
    for name in ("pixels/a/pixels.u8", "attributions/b.npz", "facts/c/d", "work/train-k/state.json", "downloads/e.zip"):
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


def test_the_json_says_what_the_table_says(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = chain("old"), chain("new")
    ran(new)
    assert main(["gc", "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {(row["stage"], row["key"]) for row in said["rows"] if row["fate"] == "removed"} == names(old)
    assert said["totals"]["removed"] == {"artifacts": 4, "bytes": said["freed"]}
    assert main(["gc"]) == 0
    table = capsys.readouterr().out
    assert "removed: nothing needs it" in table
    assert "kept: run blue-cat" in table
    assert "4 artifacts kept" in table


# --- killed ---

KILLED = """
import os, shutil, signal, sys
from artdetect.housekeeping import HousekeepingConfig
from artdetect.housekeeping.collect import collect
WRITING = {"mkdir", "rename", "rmdir", "unlink"}
for line in sys.stdin:  # an artifacts root, and the writing call to die before
    root, at = line.split()
    if not (child := os.fork()):
        os.environ["ARTDETECT_ARTIFACTS"], count = root, 0
        def called(frame, event, argument):
            global count
            if event == "c_call" and argument.__name__ in WRITING:
                count += 1
                if count == int(at):
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(called)
        collect(HousekeepingConfig())
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_killed_at_any_call_that_writes_nothing_broken_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is kept is whole, and the next collection ends as one that was never killed."""
    chain("old")
    new = chain("new")
    for days in (90, 80):
        ran({}, days, flow="tune")
    ran(new)
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
            assert names(new) <= there()
            collect(HousekeepingConfig())
            assert there() == names(new)
            assert len(run_ledger.read()) == 2
            assert not [path for path in copy.glob("*/.*") if path.parent.name != ".locks"]
            if not status:
                break
            assert os.WTERMSIG(status) == signal.SIGKILL
            killed += 1
        child.stdin.close()
    assert killed >= 5
