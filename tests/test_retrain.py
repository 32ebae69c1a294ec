"""When a retraining is due, what it starts from, and when its result is promoted: on small synthetic artifacts."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from artdetect import config as configs
from artdetect import retrain
from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.run_ledger import Run, StageRecord
from artdetect.artifacts.store import Artifact
from artdetect.core.errors import ModelError
from tests.tiny_dataset import jpeg, write


def artifact(stage: str, key: str, **files: str) -> Artifact:
    """An artifact with synthetic content."""
    with store.build(stage, key, {"config": {}, "inputs": {}}) as out:
        for name, text in (files or {"model": key}).items():
            (out / f"{name}.json").write_text(text)
    return store.load(stage, key)


def add_pictures(root: Path, count: int, first: int = 0) -> list[str]:
    """Add new pictures; returns their paths in an index."""
    names = [f"incoming/AI/flux/{number:016x}.jpg" for number in range(first, first + count)]
    for number, name in enumerate(names, first):
        write(root / "data" / name, jpeg(number))
    return names


def make_index(key: str, paths: list[str]) -> None:
    """Build an index of these pictures."""
    with store.build("index", key, {"config": {}, "inputs": {}}) as out:
        origin = ["incoming"] * len(paths)
        pq.write_table(pa.table({"path": pa.array(paths, pa.string()), "origin": origin}), out / "index.parquet")


def record_run(index: str, flow: str = "retrain", state: str = "completed") -> None:
    """Record a run that used this index."""
    use = StageRecord(stage="index", key=index, ran=True, why="", seconds=0)
    now = run_ledger.now()
    run_ledger.write(Run(id=f"{flow}-{index}", flow=flow, name="", began=now, ended=now, state=state, stages=[use]))


def gate_artifact(key: str, verdict: str) -> Path:
    """The artifact folder of a gate with this verdict."""
    return artifact("gate", key, gate=json.dumps({"verdict": verdict, "sentence": f"{verdict}, it says"})).folder


def test_pictures_are_new_if_they_arrived_after_the_last_completed_retraining(roots: Path) -> None:
    assert retrain.new_pictures().total() == 0
    first = add_pictures(roots, 3)
    assert retrain.new_pictures() == {"AI/flux": 3}

    make_index("i1", first)
    record_run("i1", flow="pipeline")
    record_run("i1", state="failed")
    assert retrain.new_pictures().total() == 3
    record_run("i1")
    assert retrain.new_pictures().total() == 0
    add_pictures(roots, 2, first=3)
    assert retrain.new_pictures() == {"AI/flux": 2}


def test_before_the_first_retraining_pictures_are_new_if_the_champions_index_lacks_them(roots: Path) -> None:
    make_index("i1", add_pictures(roots, 3))
    artifact("train", "m1")
    registry.promote("m1", {"index": "i1"}, "someone", "by hand")
    add_pictures(roots, 1, first=3)
    assert retrain.new_pictures().total() == 1


def test_the_reference_is_the_first_champion_that_is_intact(roots: Path) -> None:
    models = [artifact("train", f"m{number}") for number in range(4)]
    assert retrain.reference() is None
    for number, model in enumerate(models):
        registry.promote(model.key, {"balance": f"b{number}"}, "someone", "by hand")
        found = retrain.reference()
        assert (found.train if found else None) == (None if number == 0 else "m0")
    (models[0].folder / "model.json").write_text("damaged")
    found = retrain.reference()
    assert found
    assert found.train == "m1"
    assert retrain.training_split_of(found) is None
    split = artifact("balance", "b1")
    assert retrain.training_split_of(found) == split
    registry.rollback("someone", "worse")
    registry.rollback("someone", "worse")
    assert retrain.reference() is None


def test_the_model_in_use_becomes_the_first_champion(roots: Path) -> None:
    assert retrain.current_champion() is None
    artifact("train", "m1")
    entry = retrain.current_champion()
    assert entry
    assert entry == registry.champion()
    assert (entry.train, entry.by) == ("m1", "retrain")
    artifact("train", "m2")
    assert retrain.current_champion() == entry  # once there is one, newer models do not matter


def test_a_damaged_champion_stops_a_retraining(roots: Path) -> None:
    registry.promote(artifact("train", "m1").key, {}, "someone", "")
    (store.place("train", "m1") / "model.json").unlink()
    with pytest.raises(ModelError, match="m1, cannot be used: model"):
        retrain.current_champion()


def challenger(config: configs.Config, champion: Promotion | None) -> configs.Config:
    changes = retrain.challenger_sections(config.index, config.train, config.retrain, champion)
    return config.model_copy(update=changes)


@pytest.mark.parametrize(("preset", "start"), [("notebook", "m1"), ("artnet", None)])
def test_a_challenger_learns_from_incoming_pictures(roots: Path, preset: str, start: str | None) -> None:
    champion = registry.promote(artifact("train", "m1").key, {}, "someone", "")
    values = {"download": {"url": "/art"}, "train": {"preset": preset}, "retrain": {"initial_weights": "champion"}}
    config = configs.parse(values)
    found = challenger(config, champion)
    assert found.index.incoming
    assert found.train.initial_weights == start
    assert challenger(config, None).train.initial_weights is None
    assert found.model_copy(update={"index": config.index, "train": config.train}) == config


def test_only_a_verdict_to_promote_moves_the_alias(roots: Path) -> None:
    first = registry.promote(artifact("train", "m1").key, {}, "someone", "")
    artifact("train", "m2")
    keys = {"train": "m2", "index": "i2"}
    assert retrain.promote_if_passed(gate_artifact("g1", "keep"), keys, first) == (False, "Kept the champion, m1.")
    assert registry.champion() == first
    assert retrain.promote_if_passed(gate_artifact("g2", "promote"), keys, first) == (
        True,
        "Promoted m2 in place of m1.",
    )
    champion = registry.champion()
    assert champion
    assert (champion.train, champion.artifacts["index"], champion.why) == ("m2", "i2", "promote, it says")
    promoted, message = retrain.promote_if_passed(gate_artifact("g3", "promote"), keys, champion)
    assert (promoted, "nothing to promote" in message) == (False, True)


def test_a_champion_that_was_promoted_meanwhile_stays(roots: Path) -> None:
    """Someone promoted another model while the challenger was trained."""
    first = registry.promote(artifact("train", "m1").key, {}, "someone", "")
    registry.promote(artifact("train", "m3").key, {}, "someone", "meanwhile")
    artifact("train", "m2")
    with pytest.raises(ModelError, match="compared with train/m1, which is no longer the champion"):
        retrain.promote_if_passed(gate_artifact("g1", "promote"), {"train": "m2"}, first)
    champion = registry.champion()
    assert champion
    assert champion.train == "m3"
