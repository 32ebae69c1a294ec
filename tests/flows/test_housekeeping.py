"""Real runs with changing parameters, and then a collection: what stays is what records and ledger say, and works."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artdetect.artifacts import registry, run_ledger, store
from artdetect.config import Config
from artdetect.core import paths
from artdetect.core.errors import ModelError
from artdetect.housekeeping import HousekeepingConfig
from artdetect.housekeeping.render import pruned_runs
from artdetect.model import choice
from artdetect.monitoring import status

from .conftest import FROM_TRAIN, STAGES, run, small


def titled(config: Config, title: str) -> Config:
    return config.model_copy(update={"report": config.report.model_copy(update={"title": title})})


def folders() -> set[tuple[str, str]]:
    return {(path.parents[1].name, path.parent.name) for path in paths.artifacts().glob("*/[!.]*/record.json")}


def record(name: tuple[str, str]) -> dict[str, Any]:
    return json.loads(store.place(*name).joinpath("record.json").read_text())


def sources(name: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """By the records alone: all that this one was made from; of equal ones the last before it."""
    made = record(name)
    for digest in made["parts"]["inputs"].values():
        equal = [other for other in folders() if record(other)["digest"] == digest]
        before = [other for other in equal if record(other)["started"] < made["started"]]
        if before:
            yield (source := max(before, key=lambda other: record(other)["started"]))
            yield from sources(source)


@pytest.mark.slow
def test_what_stays_is_what_champion_and_recent_runs_reach_and_it_works(pictures: Path) -> None:
    from flows.housekeeping import housekeeping

    first, best = small(pictures), small(pictures, seed=3)
    last = titled(first, "the last")
    assert list(run(best)) == FROM_TRAIN
    for config, title in ((titled(best, "another title"), "another title"), (last, "the last")):
        assert run(config) == {"report": f"report.title artdetect → {title}"}  # a late parameter wakes no early stage
    ledger = run_ledger.read()
    assert [made.flow for made in ledger] == ["pipeline"] * 4
    assert all(made.state == "completed" and len(made.stages) == len(STAGES) for made in ledger)
    champion = {use.stage: use.key for use in ledger[1].stages}
    registry.promote(champion["train"], {name: champion[name] for name in ("evaluate", "train")}, "a person", "good")

    expected = {use for made in ledger[-1:] for use in made.artifacts} | {
        (stage, champion[stage]) for stage in ("evaluate", "train")
    }
    for name in list(expected):
        expected |= set(sources(name))
    before = folders()
    settings = HousekeepingConfig(keep_last=1, keep_days=0)
    planned = housekeeping(settings.model_copy(update={"dry_run": True}))
    assert folders() == before
    assert housekeeping(settings) == planned
    assert folders() == expected
    assert planned["removed"] == len(before) - len(expected) > 0
    *runs, tried, collected = run_ledger.read()
    assert [made.flow for made in runs] == ["pipeline"] * 2
    removed = planned["removed"]
    assert [tried.name, collected.name] == [f"housekeeping: {removed} to remove", f"housekeeping: {removed} removed"]
    assert champion["train"] in {use.key for use in run_ledger.read()[0].stages}  # the run that built it

    states = {stage.stage: stage.state for stage in status.status(last)}
    assert states.pop("report") == "stale"  # a champion was promoted since: it belongs beside the figures
    assert set(states.values()) == {"current"}
    with pytest.raises(ModelError, match=f"the champion, train/{champion['train']}, is a demonstration"):
        choice.choose()
    with pytest.raises(ModelError, match="nothing to roll back to"):
        registry.rollback("a person", "")
    assert {stage.stage: stage.why for stage in status.status(best)}["report"] == ["its artifact was deleted"]
    assert run(best)["report"] == "its artifact was deleted"


@pytest.mark.slow
def test_old_runs_go_from_prefects_server(pictures: Path) -> None:
    from prefect.client.orchestration import get_client

    from flows.housekeeping import housekeeping, prune

    run(small(pictures))
    assert prune(1, dry_run=False)["flow_runs"] == 0
    planned = prune(0, dry_run=True)
    assert planned["flow_runs"] >= 1
    done = housekeeping(HousekeepingConfig(keep_days=0, prune_prefect=True))
    assert done["pruned"] >= planned["flow_runs"]
    with get_client(sync_client=True) as client:
        ended = [left.name for left in client.read_flow_runs() if left.state and left.state.is_final()]
    assert ended == [f"housekeeping: {done['removed']} removed"]  # those that a test killed run for ever
    assert pruned_runs({"flow_runs": 1234, "database_bytes": 5_000_000}, False).endswith("Its database takes 5.0 MB.")


@pytest.mark.parametrize("error", [ModelError("no model"), ZeroDivisionError("by zero")])
def test_an_error_in_json_has_its_class_and_only_a_surprise_its_traceback(error: Exception) -> None:
    from tasks.engine.logging_setup import FlowJsonFormatter, SingleLineErrors

    try:
        raise error
    except Exception:
        record = logging.LogRecord("a", logging.ERROR, "", 1, "it %s\nfailed", ("all",), sys.exc_info())
    SingleLineErrors().filter(record)
    line = FlowJsonFormatter().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found["error"] == type(error).__name__
    assert ("traceback" in found) == isinstance(error, ZeroDivisionError)
    assert found["message"] == ("no model" if isinstance(error, ModelError) else "it all\nfailed")
