"""Kills before each step that a publication, a promotion or a collection takes on the file system, and power cuts.

Steps are tried one after the other: a process that takes it is killed just before it. After a power cut, what was not
synced to the disk is gone as well. The champion must be whole in each of these states, and stay so. `make test` tries
every third step and those after a change of names, `make test-slow` each.
"""

import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from artdetect.artifacts import file_names, registry, store
from artdetect.core import atomic
from artdetect.housekeeping.garbage_collection import collect
from tests.housekeeping.conftest import KEEP_NO_RUNS, record_run

STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate"}  # audit events, besides open
KEY, CONTENT = "aaaa1", "the champion's weights"
Act = Callable[[], object]
Prefixes = Callable[..., Iterator[str]]  # act, every -> what happened, see `states_after`

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def build(key: str, content: str) -> None:
    """As a stage's task does, with the lock and the protection of the champion."""
    with (
        FileLock(store.lock_file("train", key)),
        store.build("train", key, {}, protect=lambda: registry.protected("train", key)) as out,
    ):
        (out / file_names.MODEL).write_text(content)
        (out / "sub").mkdir()
        (out / "sub" / "more.txt").write_text(key)


@pytest.fixture(autouse=True)
def root(roots: Path) -> Path:
    """A champion, another model, and a run that used neither."""
    build(KEY, CONTENT)
    build("bbbb2", "other weights")
    registry.promote(KEY, {}, "me", "first")
    build("cccc3", "of the last run")
    record_run({"train": "cccc3"})
    return roots / "artifacts"


@pytest.fixture(params=["with exchange", pytest.param("without exchange", marks=pytest.mark.slow)])
def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bool:
    """Whether the file system can exchange two names."""
    if request.param == "without exchange":
        monkeypatch.setattr(atomic, "exchange", lambda first, second: False)
        return False
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    if not atomic.exchange(tmp_path / "one", tmp_path / "two"):
        pytest.skip("this file system cannot exchange names")
    return True


@pytest.fixture(params=[3, pytest.param(1, marks=pytest.mark.slow)], ids=["each third step", "each step"])
def every(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def steps(act: Act, root: Path, at: int) -> tuple[bool, list[str], set[int]]:
    """Run `act` in a process that dies before its step number `at`.

    Returns:
        Whether it reached its end, the steps that it took, and the inodes that it synced.
    """
    read, write = os.pipe()
    if not (child := os.fork()):
        taken: list[str] = []
        synced: list[str] = []

        def step(name: str) -> None:
            if len(taken) + 1 == at:
                end("killed")
            taken.append(name)

        def end(how: str) -> None:
            os.write(write, "\n".join([how, ",".join(synced), *taken]).encode())
            os._exit(0)

        def audit(event: str, arguments: tuple) -> None:
            if event in STEPS:
                step(f"{event} {arguments[0]}")
            elif event == "open" and str(arguments[0]).startswith(str(root)) and arguments[2] & os.O_ACCMODE:
                step(f"open {arguments[0]}")

        def fsync(descriptor: int) -> None:
            step(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink()}")
            synced.append(str(os.fstat(descriptor).st_ino))

        def swap(first: Path, second: Path) -> bool:
            step(f"exchange {first}")
            return exchange(first, second)

        try:
            real, exchange = os.fsync, atomic.exchange
            assert real
            os.fsync, atomic.exchange = fsync, swap  # type: ignore[assignment]
            sys.addaudithook(audit)
            act()
            end("finished")
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as pipe:
        how, synced_inodes, *steps_taken = pipe.read().split("\n")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return how == "finished", steps_taken, {int(inode) for inode in synced_inodes.split(",") if inode}


def sizes(root: Path) -> dict[int, int]:
    return {path.stat().st_ino: path.stat().st_size for path in root.rglob("*") if path.is_file()}


def cut_power(root: Path, before: dict[int, int], synced: set[int]) -> None:
    """What was written to files and not synced is lost; their names are there."""
    for path in root.rglob("*"):
        if path.is_file() and path.stat().st_ino not in synced:
            os.truncate(path, min(path.stat().st_size, before.get(path.stat().st_ino, 0)))


@pytest.fixture
def prefixes(root: Path, record_property: Callable[[str, object], None]) -> Prefixes:
    """`states_after`, which counts the states."""

    def counted(act: Act, every: int = 1) -> Iterator[str]:
        tries = 0
        for tries, state in enumerate(states_after(act, root, every), 1):  # noqa: B007  the last number is used
            yield state
        record_property("tries", tries)

    return counted


def states_after(act: Act, root: Path, every: int) -> Iterator[str]:
    """Put `root` into what a kill or a power cut leaves at some steps; yields what happened.

    The steps are number 1, 1 + `every` and so on, the end, and each after a change of names.
    """
    template, killed = Path(shutil.copytree(root, root.with_name("template"))), root.with_name("killed")
    _, whole, _ = steps(act, root, 0)
    after_names = (number + 1 for number, step in enumerate(whole, 1) if step.startswith(("exchange", "os.rename")))
    end = len(whole) + 1
    for at in sorted({*range(1, end, every), *after_names, end}):
        shutil.rmtree(root)
        shutil.copytree(template, root)
        before = sizes(root)
        finished, taken, synced = steps(act, root, at)
        shutil.copytree(root, killed)
        last = taken[-1] if taken else "nothing"
        cut_power(root, before, synced)
        yield f"power cut after {last}"
        shutil.rmtree(root)
        killed.rename(root)
        yield f"killed after {last}"
        assert finished == (at == end > 5)


def assert_champion_survives(state: str) -> None:
    """Its content is in use now, after a collection, and after the next build of its key."""
    for act in (lambda: None, lambda: collect(KEEP_NO_RUNS), lambda: build(KEY, CONTENT)):
        act()
        assert registry.champion_model() == store.place("train", KEY), state
        assert (store.place("train", KEY) / file_names.MODEL).read_text() == CONTENT, state
    assert not list(store.place("train", KEY).parent.glob(".*")), state


def test_a_killed_build_of_the_champions_key_leaves_the_champion(
    prefixes: Prefixes, exchange: bool, every: int
) -> None:
    """Between two renames there was no champion, and the next collection deleted its last copies."""
    for state in prefixes(lambda: build(KEY, CONTENT), every):
        if exchange:
            assert store.verify("train", KEY) is None, state  # at every moment, without any repair
        assert_champion_survives(state)


def test_a_collection_alone_puts_the_champion_back(
    prefixes: Prefixes, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "exchange", lambda first, second: False)
    put_back = 0
    for state in prefixes(lambda: build(KEY, CONTENT), every):
        gone = store.verify("train", KEY) == "missing"
        would = collect(KEEP_NO_RUNS.model_copy(update={"dry_run": True}))
        assert (store.verify("train", KEY) == "missing") == gone, state
        report = collect(KEEP_NO_RUNS)
        assert report.recovered == would.recovered == (["train/" + KEY] if gone else []), state
        assert store.verify("train", KEY) is None, state
        put_back += gone
    assert put_back


def fail_to_build() -> None:
    with pytest.raises(ZeroDivisionError), FileLock(store.lock_file("train", KEY)), store.build("train", KEY, {}):
        raise ZeroDivisionError


@pytest.mark.parametrize("act", [registry.champion_model, fail_to_build], ids=["use", "a build that fails"])
def test_a_champion_that_a_kill_left_aside_is_put_back(root: Path, act: Act) -> None:
    (root / "train" / KEY).rename(root / "train" / f".{KEY}-abcdefgh.old")
    act()
    assert store.verify("train", KEY) is None
    assert_champion_survives("put back")


def test_a_killed_first_build_costs_that_build_only(root: Path, prefixes: Prefixes, exchange: bool, every: int) -> None:
    for state in prefixes(lambda: build("dddd4", "new"), every):
        build("dddd4", "new")
        assert store.verify("train", "dddd4") is None, state
        assert not list(root.glob("train/.dddd4-*")), state
        assert_champion_survives(state)


def test_a_killed_promotion_leaves_the_old_or_the_new_champion(prefixes: Prefixes, every: int) -> None:
    found = set()
    for state in prefixes(lambda: registry.promote("bbbb2", {}, "me", "better"), every):
        champion = registry.champion()
        assert champion, state
        found.add(champion.train)
        collect(KEEP_NO_RUNS)
        assert registry.champion_model() == store.place("train", champion.train), state
        assert [entry.train for entry in registry.history()] in ([KEY], [KEY, "bbbb2"]), state
    assert found == {KEY, "bbbb2"}


@pytest.mark.slow
def test_a_killed_collection_leaves_the_champion_and_the_next_one_goes_on(root: Path, prefixes: Prefixes) -> None:
    for name in (".bbbb2-abcdefgh.tmp", f".{KEY}-abcdefgh.old"):
        (root / "train" / name).mkdir()
    for state in prefixes(lambda: collect(KEEP_NO_RUNS)):
        assert store.verify("train", KEY) is None, state
        collect(KEEP_NO_RUNS)
        assert store.verify("train", "bbbb2") == "missing", state
        assert_champion_survives(state)


@pytest.mark.slow
def test_a_collection_during_which_a_build_was_killed_before(
    root: Path, prefixes: Prefixes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both copies are aside: the collection that puts one back is killed at each of its steps, too."""
    monkeypatch.setattr(atomic, "exchange", lambda first, second: False)
    for at in itertools.count(1):
        finished, _, _ = steps(lambda: build(KEY, CONTENT), root, at)
        if store.verify("train", KEY) == "missing":
            break
        assert not finished
    for state in prefixes(lambda: collect(KEEP_NO_RUNS)):
        assert_champion_survives(state)


def test_nothing_is_removed_before_the_new_name_is_on_the_disk(root: Path, exchange: bool) -> None:
    """A file system may write a removal to the disk before an earlier rename, unless the folder is synced between."""
    finished, taken, _ = steps(lambda: build(KEY, CONTENT), root, 0)
    assert finished
    swapped = max(number for number, step in enumerate(taken) if step.startswith(("exchange", "os.rename")))
    removed = min(number for number, step in enumerate(taken) if step.startswith("os.rmdir"))
    assert f"fsync {root / 'train'}" in taken[swapped:removed]
    written = min(number for number, step in enumerate(taken) if step.endswith(store.RECORD) and "open" in step)
    synced = [step for step in taken[written:swapped] if step.startswith("fsync")]
    assert {Path(step).name for step in synced} >= {file_names.MODEL, "more.txt", "sub", store.RECORD}
