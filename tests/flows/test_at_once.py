"""Commands at the same time on one project: eight whole runs and a collection, an ingest and a retraining."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.artifacts import store
from artdetect.ingest import incoming
from tests.tiny_dataset import jpeg, write

from .conftest import FROM_TRAIN, STAGES, outcome, read_to, start, start_command

pytestmark = pytest.mark.slow
Record = Callable[[str, object], None]


@pytest.fixture(autouse=True)
def here(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process looks at the copied project, too."""
    monkeypatch.setenv("ARTDETECT_DATA", str(copy / "data"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(copy / "artifacts"))


def test_eight_runs_of_four_configs_beside_collections(copy: Path, server: str, record_property: Record) -> None:
    """Each config is built once, whoever builds it, and no collection takes from a run what it uses.

    On an overloaded machine, Prefect's server may refuse some of the runs, which says so.
    """
    seeds = [f"train.seed={seed}" for seed in range(1, 5)]
    runs = [start(copy, server, "run", "--json", "--set", seed) for seed in seeds * 2]
    collections = 0
    while any(run.poll() is None for run in runs):
        collection = start_command(copy, server, "gc", "--keep-last", "8", "--keep-days", "0", "--json")
        log = collection.communicate()[1]
        assert collection.returncode == 0, log
        collections += 1
        time.sleep(1)
    refused = [log for run in runs for log in [run.communicate()[1]] if run.returncode]
    assert all("Prefect's server is too busy" in log for log in refused), refused
    for seed in seeds:
        assert set(outcome(copy, server, "run", "--set", seed)) <= set(FROM_TRAIN if refused else ())
    for stage in STAGES:
        for artifact in store.stored(stage):
            assert store.verify(stage, artifact.key) is None
        built = [entry["key"] for entry in store.journal(stage)]
        assert len(built) == len(set(built))
    record_property("tries", len(runs) + collections)
    record_property(
        "note", f"{len(runs)} runs, {collections} collections" + f", {len(refused)} refused" * bool(refused)
    )


def test_ingests_beside_a_retraining(copy: Path, server: str, record_property: Record) -> None:
    """The retraining has the pictures that were there when it began. The next one finds the others."""
    settings = ("gate.max_drop_known=1", "gate.max_ece_rise=1", "retrain.min_new_pictures=1", "train.seed=7")
    retrain = ("retrain", *(word for setting in settings for word in ("--set", setting)))
    retraining = start(copy, server, *retrain, "--force")
    log = read_to(retraining, "train runs")
    for batch in range(3):
        for number in range(4):
            write(copy / "new" / str(batch) / f"{number}.jpg", jpeg((8, batch, number), base=200))
        ingest = start(copy, server, "ingest", str(copy / "new" / str(batch)), "--label", "AI", "--generator", "flux")
        assert ingest.wait() == 0
    log += retraining.communicate()[1]
    assert retraining.returncode == 0, log
    assert "index cached" in log
    assert incoming.added_since(None).total() == 12
    again = start(copy, server, *retrain)
    log = again.communicate()[1]
    assert again.returncode == 0, log
    assert "12 pictures added" in log
    assert "0 new pictures since the last retraining" in start(copy, server, *retrain).communicate()[0]
    record_property("tries", 3)
