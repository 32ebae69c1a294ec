"""Which artifacts garbage collection keeps, and why."""

import os
import shutil
from pathlib import Path

import pytest

from artdetect import retrain
from artdetect.artifacts import registry, run_ledger, store
from artdetect.cli import main
from artdetect.core.errors import ArtifactError, ConfigError, ModelError
from artdetect.housekeeping import HousekeepingConfig, pins
from artdetect.housekeeping.garbage_collection import collect
from tests.housekeeping.conftest import CHAIN, KEEP_NO_RUNS, chain, existing, make, names, reasons, record_run


def test_what_no_run_used_is_removed_and_a_dry_run_lists_the_same(root: Path) -> None:
    old, new = chain("old"), chain("new")
    record_run(new)
    planned = collect(HousekeepingConfig(dry_run=True))
    assert existing() == names(old, new)
    done = collect(HousekeepingConfig())
    assert existing() == names(new)
    assert [(row.key, row.fate, row.why) for row in planned.rows] == [(row.key, row.fate, row.why) for row in done.rows]
    assert (planned.freed, planned.total("removed")) == (done.freed, done.total("removed"))
    assert done.total("removed") == (4, sum(len(key) for key in old.values()))
    assert {line["key"] for line in store.journal("train")} == {"old_train", "new_train"}  # the memory for "why"
    assert not list((root / ".locks").glob("*old*"))


def test_recent_runs_are_the_last_ones_and_those_of_the_last_days() -> None:
    chains = [chain(f"run{number}") for number in range(4)]
    for days_ago, keys in zip((40, 20, 5, 1), chains, strict=True):
        record_run(keys, days_ago)
    record_run({}, flow="housekeeping")  # uses no artifacts

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
    record_run(gone | {"index": "shared"}, 90)
    new = chain("new", index=shared)
    record_run(new)
    collect(HousekeepingConfig(keep_last=1))
    assert existing() == names(new)


def test_a_run_that_found_all_current_counts_as_a_use() -> None:
    b, a = chain("b"), chain("a")
    record_run(a, 60)
    record_run(b, 50)
    run_ledger.refresh([store.load(*name) for name in a.items()])
    assert len(run_ledger.read()) == 2
    collect(HousekeepingConfig(keep_last=1, keep_days=0))
    assert existing() == names(a)


def test_champions_that_a_rollback_can_reach_stay_and_a_rolled_back_one_is_removed() -> None:
    first, second, third, last = (chain(name) for name in ("first", "second", "third", "last"))
    registry.promote(first["train"], first, "a person", "first")
    registry.promote(second["train"], second, "a person", "better")
    registry.promote(third["train"], third, "a person", "a mistake")
    registry.rollback("a person", "worse")
    record_run(last, 90)
    assert registry.champion().train == second["train"]  # type: ignore[union-attr]
    report = collect(KEEP_NO_RUNS)
    assert existing() == names(first, second)
    assert (reasons(report)["second_train"], reasons(report)["first_train"]) == ("champion", "earlier champion, 1 back")
    registry.rollback("a person", "the first was best")


def test_of_many_champions_the_first_and_the_last_ones_stay() -> None:
    chains = [chain(f"c{number}") for number in range(5)]
    for keys in chains:
        registry.promote(keys["train"], keys, "a person", "better")
    record_run(chains[-1])
    collect(HousekeepingConfig(keep_last=0, keep_days=0, keep_champions=2))
    assert existing() == names(chains[0], *chains[-2:])
    registry.rollback("a person", "worse")
    with pytest.raises(ModelError, match="train/c2_train cannot be the champion"):
        registry.rollback("a person", "worse")
    reference = retrain.reference()
    assert reference
    assert reference.train == "c0_train"


def test_a_pin_keeps_an_artifact_and_its_sources_until_it_is_removed(capsys: pytest.CaptureFixture[str]) -> None:
    pinned, new = chain("pinned"), chain("new")
    make("evaluate", "another", **{stage: pinned[stage] for stage in CHAIN["evaluate"]})
    record_run(new)
    assert main(["pin", "pinned_tr", "--reason", "for the paper"]) == 0
    report = collect(HousekeepingConfig())
    del pinned["evaluate"]
    assert existing() == names(pinned, new)
    assert reasons(report)["pinned_index"] == "pinned: for the paper"
    with pytest.raises(ArtifactError, match="could be index/pinned_index, "):
        pins.pin("pinn")
    with pytest.raises(ArtifactError, match="no such key"):
        pins.pin("absent")
    with pytest.raises(ConfigError, match="4 characters"):
        pins.pin("pin")
    assert main(["unpin", "pinned_train"]) == 0
    assert "train/pinned_train is no longer pinned" in capsys.readouterr().out
    collect(HousekeepingConfig())
    assert existing() == names(new)


def test_of_equal_artifacts_the_one_stays_that_the_other_was_made_from() -> None:
    for key in ("early", "middle", "late"):
        make("balance", key, "the same")
        if key == "middle":
            make("train", "model", balance="middle")
    record_run({"train": "model"})
    collect(HousekeepingConfig())
    assert existing() == {("balance", "middle"), ("train", "model")}


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_the_journal_says_what_a_missing_or_damaged_artifact_was_made_from(root: Path, damage: str) -> None:
    keys = chain("only")
    record_run({"train": keys["train"]})
    folder = root / "train" / keys["train"]
    if damage == "gone":
        shutil.rmtree(folder)
    else:
        (folder / "record.json").write_text("{")
        os.utime(folder, (0, 0))
    report = collect(HousekeepingConfig())
    remaining = {row.key for row in report.rows if row.fate == "kept"}
    assert remaining == {"only_index", "only_balance"} | ({"only_train"} if damage == "damaged" else set())


def test_the_newest_model_stays_where_there_is_no_champion() -> None:
    old, new = chain("old"), chain("new")
    record_run(old)
    collect(HousekeepingConfig())
    del new["evaluate"]
    assert existing() == names(old, new)
    registry.promote(old["train"], old, "a person", "good")
    collect(HousekeepingConfig())
    assert existing() == names(old)


def test_the_index_of_the_last_retraining_stays() -> None:
    judged, new = chain("judged"), chain("new")
    registry.promote(new["train"], new, "a person", "good")
    record_run(judged, 90, flow="retrain")
    record_run(new)
    collect(HousekeepingConfig(keep_last=1))
    assert existing() == names(new, {"index": judged["index"]})
