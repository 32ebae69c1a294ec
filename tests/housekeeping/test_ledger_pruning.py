"""Which runs stay in the run ledger."""

import json

import pytest

from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.run_ledger import Run, StageRecord
from artdetect.cli import main
from artdetect.housekeeping import pins
from artdetect.housekeeping.garbage_collection import collect
from tests.housekeeping.conftest import KEEP_NO_RUNS, chain, existing, make, names, record_run


def on_record() -> set[str]:
    return {run.id for run in run_ledger.read()}


def test_runs_that_nothing_needs_leave_the_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run and the JSON say how many there are, and their size."""
    old = [record_run({"index": make("index", f"i{number}")}, 90 - number) for number in range(3)]
    swept = [record_run({}, days, flow="housekeeping") for days in (60, 50, 3)]
    new = [record_run({"index": make("index", f"n{number}")}, days) for number, days in enumerate((50, 5, 4))]
    gone = [*old, *swept[:2]]
    size = sum(run_ledger.file(run).stat().st_size for run in gone)
    keep = ["--keep-last", "3", "--keep-days", "10"]
    assert main(["gc", *keep, "--dry-run"]) == 0
    assert f"Old runs would be removed from the ledger: 5, {size / 1000:.1f} kB." in capsys.readouterr().out
    assert on_record() == {run.id for run in [*old, *swept, *new]}
    assert main(["gc", *keep, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ledger_files"], report["ledger_bytes"]) == (5, size)
    assert report["freed"] == size + report["totals"]["removed"]["bytes"]
    assert on_record() == {run.id for run in [swept[2], *new]}
    assert main(["gc", *keep]) == 0
    assert "ledger" not in capsys.readouterr().out


def test_runs_that_built_what_a_champion_or_a_pin_names_stay_on_record() -> None:
    best, pinned, other = chain("best"), chain("pinned"), chain("other")
    made = [record_run(best, 90), record_run(pinned, 80)]
    used = [StageRecord(stage="train", key=best["train"], ran=False, why="", seconds=1)]
    record_run({}, 70, stages=used)  # which only report the champion cached
    record_run(other, 60)
    registry.promote(best["train"], best, "a person", "good")
    pins.pin(pinned["evaluate"])
    last = record_run(chain("last"))
    collect(KEEP_NO_RUNS)
    assert on_record() == {run.id for run in [*made, last]}
    pins.unpin(pinned["evaluate"])
    collect(KEEP_NO_RUNS)
    assert on_record() == {made[0].id, last.id}


def test_of_each_flow_the_last_run_and_the_last_good_one_stay_on_record() -> None:
    """They say when a flow last worked, and which index the last retraining used."""
    judged, new = chain("judged"), chain("new")
    record_run({"index": judged["index"]}, 95, flow="retrain")
    good = record_run(judged, 90, flow="retrain")
    record_run({}, 80, flow="retrain", state="failed", error="ModelError: no")
    failed = record_run({}, 70, flow="retrain", state="failed", error="ModelError: no")
    record_run({}, 65, flow="retrain", state="cancelled", error="it was cancelled")  # which is no failure
    newest = record_run({}, 60, flow="retrain", state="cancelled", error="it was cancelled")
    tuned = record_run({}, 99, flow="tune")
    last = record_run(new)
    registry.promote(new["train"], new, "a person", "good")
    collect(KEEP_NO_RUNS)
    assert on_record() == {run.id for run in (good, failed, newest, tuned, last)}
    assert existing() == names(new, {"index": judged["index"]})


def test_a_run_that_is_refreshed_during_a_collection_stays_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    from artdetect.housekeeping import retention

    make("index", "pinned")
    pins.pin("pinned")
    used = record_run({}, 90, stages=[StageRecord(stage="index", key="pinned", ran=False, why="", seconds=1)])
    last = record_run(chain("last"), 80)
    prunable_runs = retention.prunable_runs

    def meanwhile(
        last: int, days: float, champions: int
    ) -> list[Run]:  # the real function, before `artdetect run` refreshes the run
        runs = prunable_runs(last, days, champions)
        assert [run.id for run in runs] == [used.id]
        run_ledger.refresh([store.load("index", "pinned")])
        return runs

    monkeypatch.setattr(retention, "prunable_runs", meanwhile)
    collect(KEEP_NO_RUNS)
    assert [run.id for run in run_ledger.read()] == [last.id, used.id]
