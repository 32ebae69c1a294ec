"""The champion alias: promotions, rollbacks, concurrent use, and kills at any step."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from artdetect.artifacts import file_names, registry, store
from artdetect.artifacts.lineage import lineage_keys
from artdetect.artifacts.registry import Promotion
from artdetect.cli import main
from artdetect.core.errors import ArtifactError, ModelError
from artdetect.model import choice
from tests import PROJECT


@pytest.fixture(autouse=True)
def trained_models(roots: Path) -> None:
    """Three artifacts; the content of a model file does not matter to the alias."""
    for key in ("aaaa1", "aaaa2", "bbbb3"):
        with store.build("train", key, {}) as out:
            (out / file_names.MODEL).write_text(key)


def promote(key: str, why: str = "better") -> Promotion:
    return registry.promote(key, {"gate": f"gate-of-{key}"}, "me@here", why)


def damage(key: str) -> None:
    (store.place("train", key) / file_names.MODEL).write_text("zzzzz")


def champions() -> list[str]:
    return [entry.train for entry in registry.history()]


# --- promote and roll back ---


def test_nobody_is_champion_at_first() -> None:
    assert (registry.champion(), registry.history(), registry.champion_model()) == (None, [], None)
    with pytest.raises(ModelError, match="nothing to roll back to: there is no champion yet"):
        registry.rollback("me", "")


def test_a_promotion_records_everything() -> None:
    first, second = promote("aaaa1"), promote("aaaa2", "why not")
    assert (first.previous, second.previous) == (None, "aaaa1")
    assert second.artifacts == {"gate": "gate-of-aaaa2", "train": "aaaa2"}
    assert (second.by, second.why, second.rolled_back) == ("me@here", "why not", False)
    assert second.at.endswith("+00:00")
    assert registry.champion() == second
    assert registry.history() == [first, second]
    assert registry.champion_model() == store.place("train", "aaaa2")


def test_rolling_back_goes_further_back_each_time_and_the_history_only_grows() -> None:
    entries = [promote(key) for key in ("aaaa1", "aaaa2", "bbbb3")]
    back = registry.rollback("me", "it was worse")
    assert (back.train, back.previous, back.artifacts) == ("aaaa2", "bbbb3", entries[1].artifacts)
    assert (back.why, back.rolled_back) == ("it was worse", True)
    assert registry.rollback("me", "").train == "aaaa1"
    with pytest.raises(ModelError, match="train/aaaa1 is the first champion"):
        registry.rollback("me", "")
    assert champions() == ["aaaa1", "aaaa2", "bbbb3", "aaaa2", "aaaa1"]
    promote("bbbb3")
    assert registry.rollback("me", "").train == "aaaa1"


def test_a_model_that_was_champion_twice_is_rolled_back_over_twice() -> None:
    for key in ("aaaa1", "aaaa2", "aaaa1", "bbbb3"):
        promote(key)
    assert [registry.rollback("me", "").train for _ in range(3)] == ["aaaa1", "aaaa2", "aaaa1"]


def test_promoting_the_champion_again_changes_nothing() -> None:
    first = promote("aaaa1")
    before = registry.alias_file().read_bytes()
    assert promote("aaaa1", "again") == first
    assert registry.alias_file().read_bytes() == before


# --- missing and damaged artifacts ---


def test_a_missing_or_damaged_model_is_refused() -> None:
    damage("aaaa1")
    for key, fault in (("aaaa1", f"{file_names.MODEL}: content differs"), ("cccc", "missing")):
        with pytest.raises(ModelError, match=f"train/{key} cannot be the champion: {fault}.*artdetect models"):
            promote(key)
    assert not registry.alias_file().exists()


def test_a_champion_that_is_damaged_is_an_error_and_never_another_model() -> None:
    promote("aaaa1")
    promote("aaaa2")
    damage("aaaa2")
    with pytest.raises(ModelError, match=r"train/aaaa2, cannot be used: .*content differs.*`artdetect rollback`"):
        choice.choose()
    registry.rollback("me", "damaged")
    assert choice.choose().path == store.place("train", "aaaa1")


def test_a_rollback_to_a_damaged_model_is_refused() -> None:
    promote("aaaa1")
    promote("aaaa2")
    damage("aaaa1")
    with pytest.raises(ModelError, match="train/aaaa1 cannot be the champion"):
        registry.rollback("me", "")
    assert champions() == ["aaaa1", "aaaa2"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-20],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"why"', '"wyh"'),
        lambda text: text.replace('"aaaa2"', '"aaaa1"', 1),  # champion and history disagree
        lambda text: text.replace('"rolled_back": false', '"rolled_back": true'),
    ],
)
def test_a_damaged_alias_is_an_error_that_says_what_to_do(change, capsys: pytest.CaptureFixture[str]) -> None:
    promote("aaaa1")
    promote("aaaa2")
    path = registry.alias_file()
    path.write_text(damaged := change(path.read_text()))
    for function in (registry.champion, registry.history, choice.choose, lambda: promote("bbbb3")):
        with pytest.raises(ArtifactError, match=rf"{path}: damaged \(.*\).*promote the model to use"):
            function()
    assert path.read_text() == damaged
    assert main(["rollback"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_model_used_is_the_champion_else_the_newest() -> None:
    assert choice.choose().path == store.place("train", "bbbb3")
    promote("aaaa1")
    assert choice.choose().path == store.place("train", "aaaa1")


def test_a_folder_in_the_place_of_the_alias_is_an_error_that_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = registry.alias_file()
    path.mkdir(parents=True)
    for function in (registry.champion, choice.choose, lambda: promote("aaaa1")):
        with pytest.raises(ArtifactError, match=rf"{path}: cannot be read \(Is a directory\).*`artdetect promote KEY`"):
            function()
    assert main(["rollback"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# --- the content that was promoted ---


def rebuild(key: str, content: str) -> None:
    """Build a model's key again, as a stage's task does."""
    with store.build("train", key, {}, protect=lambda: registry.protected("train", key)) as out:
        (out / file_names.MODEL).write_text(content)


def test_other_content_with_the_champions_key_does_not_replace_the_champion() -> None:
    """A refresh after a flipped bit replaced the champion without a gate, and nobody was told."""
    promote("aaaa1")
    rebuild("aaaa1", "aaaa1")
    with pytest.raises(ArtifactError, match=r"train/aaaa1: its content was promoted.*delete .*aaaa1, build again and"):
        rebuild("aaaa1", "other weights")
    assert registry.champion_model() == store.place("train", "aaaa1")
    assert (store.place("train", "aaaa1") / file_names.MODEL).read_text() == "aaaa1"
    promote("aaaa2")
    with pytest.raises(ArtifactError, match="was promoted"):  # a rollback still reaches it
        rebuild("aaaa1", "other weights")
    registry.rollback("me", "")
    rebuild("aaaa2", "other weights")
    assert [path.name for path in store.place("train", "aaaa1").parent.glob(".*")] == []


def test_content_that_was_not_promoted_is_not_used_as_the_champion(capsys: pytest.CaptureFixture[str]) -> None:
    promote("aaaa2")
    first = promote("aaaa1")
    shutil.rmtree(store.place("train", "aaaa1"))
    rebuild("aaaa1", "other weights")  # the promoted content is lost, so nothing is protected
    with pytest.raises(ModelError, match=r"its content is not what was promoted \(digest .*promote it.*rollback"):
        choice.choose()
    assert main(["models", "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["aaaa1"]["fault"]
    assert main(["promote", "aaaa1"]) == 0
    assert "train/aaaa1 is the champion in place of train/aaaa1" in capsys.readouterr().out
    assert registry.champion_model() == store.place("train", "aaaa1")
    with pytest.raises(ModelError, match="its content is not what was promoted"):
        registry.rollback("me", "")
    assert champions() == ["aaaa2", "aaaa1", "aaaa1"]
    assert registry.history()[1] == first


def test_a_champion_without_a_digest_goes_on_working_and_is_bound_when_it_is_promoted_again() -> None:
    """`champion.json` as earlier versions wrote it."""
    promote("aaaa1")
    path = registry.alias_file()
    alias = json.loads(path.read_text())
    for entry in (alias["champion"], *alias["history"]):
        del entry["digest"]
    path.write_text(json.dumps(alias))
    assert registry.champion_model() == store.place("train", "aaaa1")
    rebuild("aaaa1", "other weights")
    assert registry.champion_model() == store.place("train", "aaaa1")
    assert main(["promote", "aaaa1"]) == 0
    assert champions() == ["aaaa1"]
    assert registry.champion().digest == store.load("train", "aaaa1").digest  # type: ignore[union-attr]
    with pytest.raises(ArtifactError, match="was promoted"):
        rebuild("aaaa1", "aaaa1")


# --- several at once, and kills ---

PROMOTE_ALL = """
import sys
from artdetect.artifacts import registry
print("ready", flush=True)
sys.stdin.readline()
for key in sys.argv[1:]:
    registry.promote(key, {}, "me", "")
"""


@pytest.mark.slow
def test_concurrent_promotions_are_all_in_the_history() -> None:
    """Two processes promote two models each, five times: no entry is lost, and each names the model it replaced."""
    keys = [["aaaa1", "bbbb3"] * 5, ["aaaa2", "bbbb3"] * 5]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTE_ALL, *part],
            cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) for part in keys
    ]  # fmt: skip
    for child in children:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.communicate("go\n")
        assert child.returncode == 0
    found = champions()
    assert found.count("aaaa1") == found.count("aaaa2") == 5
    assert [entry.previous for entry in registry.history()] == [None, *found[:-1]]


KILLED = """
import os, signal, sys
from artdetect.artifacts import registry, store
from artdetect.core import atomic
import filelock

def promote(at):
    steps = begin = middle = end = 0
    def trace(frame, event, argument):
        nonlocal steps, begin, middle, end
        if event in ("call", "c_call"):
            steps += 1
            if steps == at:
                os.kill(os.getpid(), signal.SIGKILL)
        if frame.f_code is atomic.write.__code__ and event in ("call", "return"):
            begin, end = begin or steps, steps
        if frame.f_code is atomic.sync.__code__ and argument is os.fsync:
            middle = middle or steps
    sys.setprofile(trace)
    registry.promote("aaaa2", {}, "me", "killed")
    sys.setprofile(None)
    return f"{steps} {begin} {middle} {end}"

for line in sys.stdin:  # the number of the call at which to die; 0: never, but report where the write is
    read, write = os.pipe()
    if not (child := os.fork()):
        os.write(write, promote(int(line)).encode())
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(write)
    print(status, os.read(read, 40).decode(), flush=True)
    os.close(read)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_kill_the_alias_is_the_old_or_the_new_one_and_the_next_promotion_works() -> None:
    """Kills at a sample of all calls that a promotion makes, in Python or in C, and at more of those that write."""
    promote("aaaa1")
    path = registry.alias_file()
    old, champions_found, left = path.read_bytes(), set(), 0
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def child(at: int) -> list[int]:
            print(at, file=process.stdin, flush=True)
            return [int(word) for word in process.stdout.readline().split()]  # type: ignore[union-attr]

        status, steps, begin, middle, end = child(0)
        assert status == 0
        for at in sorted({*range(1, steps, steps // 10), *range(begin, end, (end - begin) // 12), middle}):
            path.write_bytes(old)
            assert child(at) == [-signal.SIGKILL]
            found = json.loads(path.read_text())["champion"]["train"]
            assert [entry.train for entry in registry.history()] == (
                ["aaaa1", "aaaa2"] if found == "aaaa2" else ["aaaa1"]
            )
            champions_found.add(found)
            half = [file for file in path.parent.iterdir() if file != path]
            left += len(half)
            promote("bbbb3")
            assert champions()[-1] == "bbbb3"
            for file in half:  # which `artdetect gc` does
                file.unlink()
            assert list(path.parent.iterdir()) == [path]
        process.stdin.close()
    assert champions_found == {"aaaa1", "aaaa2"}  # killed before the rename, and after it
    assert left  # killed while writing


# --- the command line ---


def test_the_first_characters_of_a_key_are_enough_if_they_are_unique(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", "bbbb", "--reason", "looks good"]) == 0
    entry = registry.champion()
    assert entry
    assert (entry.train, entry.why, entry.artifacts) == ("bbbb3", "looks good", {"train": "bbbb3"})
    assert "@" in entry.by
    hint = "`artdetect models` lists the models"
    for name, message in (
        ("aaaa", "aaaa: could be train/aaaa1, train/aaaa2. Give more characters"),
        ("bb", f"'bb': give at least 4 characters of a key. {hint}"),
        ("cccc", f"cccc: no such key. There are: train/bbbb3, train/aaaa2, train/aaaa1. {hint}"),
    ):
        assert main(["promote", name]) == 2
        assert message in capsys.readouterr().err
    assert main(["promote", "bbbb3"]) == 0
    assert "is the champion already" in capsys.readouterr().out
    assert main(["promote", "aaaa2"]) == 0
    assert registry.champion().why == "promoted by hand, without a gate"  # type: ignore[union-attr]
    assert main(["rollback", "--reason", "worse"]) == 0
    assert "train/bbbb3 is the champion again, in place of train/aaaa2" in capsys.readouterr().out


def test_no_model_at_all_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(tmp_path / "none"))
    assert main(["models"]) == 0
    assert "Train one with `artdetect run`" in capsys.readouterr().out
    assert main(["promote", "aaaa1"]) == 2
    assert "none yet" in capsys.readouterr().err


def test_the_table_of_models_has_scores_marks_and_missing_models(capsys: pytest.CaptureFixture[str]) -> None:
    share = {"value": 0.75, "low": 0.5, "high": 0.875}
    with store.build("balance", "b1", {}) as out:
        (out / "balance.parquet").write_text("x")
    inputs = {"train": store.load("train", "aaaa2").digest, "balance": store.load("balance", "b1").digest}
    with store.build("evaluate", "e1", {"inputs": inputs}) as out:
        (out / "metrics.json").write_text(json.dumps({"pictures": 1234, "accuracy": share, "roc_auc": share}))
    promote("aaaa1")
    promote("aaaa2", "a gate\nsaid so")
    for file in store.place("train", "aaaa1").iterdir():
        file.unlink()
    store.place("train", "aaaa1").rmdir()
    assert main(["models", "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["bbbb3", "aaaa2", "aaaa1"]
    assert {key: row["mark"] for key, row in rows.items()} == {"bbbb3": None, "aaaa2": "champion", "aaaa1": "previous"}
    assert rows["aaaa2"]["evaluation"] == {
        "key": "e1", "pictures": 1234, "data": "b1", "data_set": None, "accuracy": share, "roc_auc": share,
    }  # fmt: skip
    assert (rows["aaaa1"]["fault"], rows["aaaa1"]["trained"], rows["bbbb3"]["why"]) == ("missing", None, None)
    assert rows["aaaa2"]["fault"] == f"{file_names.MODEL}: not a model"
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "champion" in lines[2]
    assert "0.750 (0.500–0.875)" in lines[2]
    assert "1,234 pictures of balance b1" in lines[2]
    assert lineage_keys("aaaa2") == {"train": "aaaa2", "evaluate": "e1", "balance": "b1"}
