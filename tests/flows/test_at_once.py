"""Commands at the same time on one project: eight whole runs and a collection, an ingest and a retraining."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.artifacts import registry, store
from artdetect.ingest import incoming
from tests.tiny_dataset import jpeg, write

from .conftest import FROM_TRAIN, STAGES, finish, outcome, read_to, start, start_command

pytestmark = pytest.mark.slow
Record = Callable[[str, object], None]


@pytest.fixture(autouse=True)
def here(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process looks at the copied project, too."""
    monkeypatch.setenv("ARTDETECT_DATA", str(copy / "data"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(copy / "artifacts"))


def test_eight_runs_of_four_configs_beside_collections(copy: Path, server: str, record_property: Record) -> None:
    """Each config is built once, whoever builds it, and no collection takes from a run what it uses."""
    seeds = [f"train.seed={seed}" for seed in range(1, 5)]
    runs = [start(copy, server, "run", "--json", "--set", seed) for seed in seeds * 2]
    collections = []
    while any(run.poll() is None for run in runs):
        collection = start_command(copy, server, "gc", "--keep-last", "8", "--keep-days", "0", "--json")
        removed, log = collection.communicate()
        assert collection.returncode == 0, log
        collections.append(json.loads(removed))
        time.sleep(1)
    built = [finish(run)[0] for run in runs]
    for first, second in zip(built[:4], built[4:], strict=True):
        assert sorted([*first, *second]) == sorted(FROM_TRAIN)
    for stage in STAGES:
        for artifact in store.stored(stage):
            assert store.verify(stage, artifact.key) is None
    assert [outcome(copy, server, "status", "--set", seed) for seed in seeds] == [{}] * 4
    record_property("tries", len(runs) + len(collections))
    record_property("note", f"{len(runs)} runs, {len(collections)} collections")


def test_ingests_beside_a_retraining(copy: Path, server: str, record_property: Record) -> None:
    """The retraining has the pictures that were there when it began. The next one finds the others."""
    champion = ("--set", "gate.max_drop_known=1", "--set", "gate.max_ece_rise=1", "--set", "retrain.min_new_pictures=1")
    retraining = start(copy, server, "retrain", "--force", "--json", "--set", "train.seed=7", *champion)
    read_to(retraining, "train runs")
    for batch in range(3):
        for number in range(4):
            write(copy / "new" / str(batch) / f"{number}.jpg", jpeg((8, batch, number), base=200))
        ingest = start(copy, server, "ingest", str(copy / "new" / str(batch)), "--label", "AI", "--generator", "flux")
        assert ingest.wait() == 0
    assert "index" not in finish(retraining)[0]
    assert registry.champion() is not None
    assert incoming.added_since(None).total() == 12
    again = start(copy, server, "retrain", "--json", "--set", "train.seed=7", *champion)
    assert "12 added" in finish(again)[0]["index"]
    assert outcome(copy, server, "retrain", *champion) == {}
    record_property("tries", 3)
