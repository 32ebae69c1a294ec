"""A model before and after it was adapted: its verdicts, its artifact, and what was known of the one before."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artdetect import adapt as library
from artdetect.adapt import Adapted, own_pictures
from artdetect.artifacts import file_names, leakage, lineage, store
from artdetect.artifacts.store import Artifact
from artdetect.core.errors import DataError, ModelError
from artdetect.formatting import other_art
from artdetect.housekeeping import inventory, retention
from artdetect.model.detector import Detector
from artdetect.monitoring import model_table
from artdetect.pictures import images, picture_views
from tests.adapt.conftest import adapted_to

Own = Callable[..., Path]
Done = tuple[Adapted, Artifact]


def p_ai(detector: Detector, folder: Path, label: str) -> np.ndarray:
    pictures = sorted((folder / label).iterdir())
    return detector.p_ai(np.stack([images.load(path, detector.geometry) for path in pictures]))


def test_it_then_judges_like_pictures_right(base: Path, own: Own, adapted: Done) -> None:
    """The pictures that are judged here are others than it was adapted to."""
    others, before = own(first=700), Detector.load(base)
    assert (p_ai(before, others, "human") > 0.5).mean() > 0.8
    model, artifact = adapted
    after = Detector.load(artifact.folder)
    assert (p_ai(after, others, "human") < 0.5).mean() > 0.8
    assert (p_ai(after, others, "AI") > 0.5).mean() > 0.8
    for label in ("human", "AI"):
        np.testing.assert_allclose(p_ai(after, others, label), p_ai(model.detector, others, label), atol=1e-6)
    counts = model.metrics["adapted"]
    assert counts["pictures"] == {"AI": 20, "human": 20}
    assert counts["before"]["by_class"]["human"]["predicted_ai"] > 15
    assert counts["after"]["by_class"]["human"]["predicted_ai"] < 5
    assert counts["after"]["roc_auc"]["value"] > 0.9 > 0.5 > counts["before"]["roc_auc"]["value"]
    assert counts["cost_on_old_pictures"] > 0


def test_only_head_temperature_and_novelty_limit_change(base: Path, own_folder: Path, adapted: Done) -> None:
    before = Detector.load(base)
    after = Detector.load(adapted[1].folder)
    assert replace(after.rule, novelty=None) == replace(before.rule, novelty=None)
    assert before.rule.novelty is not None
    assert after.rule.novelty is not None
    assert after.rule.novelty >= before.rule.novelty
    for name in ("p_min", "p_max", "net", "data", "seed"):
        assert after.metadata.get(name) == before.metadata.get(name)
    assert after.metadata["adapted"] == {"from": before.id, "pictures": 40}
    assert after.metadata["temperature"] != before.metadata["temperature"]
    pixels = np.stack([images.load(path, before.geometry) for path in sorted((own_folder / "AI").iterdir())])
    for name in ("embedding", "novelty", "generators"):
        np.testing.assert_array_equal(getattr(before.scores(pixels), name), getattr(after.scores(pixels), name))


def test_the_record_is_whole_and_names_the_model_before(base: Path, own: Own, adapted: Done) -> None:
    _, artifact = adapted
    assert store.verify("train", artifact.key) is None
    parts = artifact.record["parts"]
    assert parts["inputs"] == {"base": store.load("train", "t1").digest}
    assert "artdetect.adapt.posterior" in parts["code"]
    assert lineage.lineage_keys(artifact.key) == {"train": artifact.key, "balance": "b1"}
    _, again = adapted_to(artifact.folder, own(10, 10, 900))
    assert lineage.lineage_keys(again.key) == {"train": again.key, "balance": "b1"}
    assert again.record["parts"]["inputs"] == {"base": artifact.digest}
    kept = retention.reachable(inventory.intact(inventory.items()), 10, 30)
    assert {("train", again.key), ("train", artifact.key), ("train", "t1"), ("balance", "b1")} <= kept.keys()


def test_what_it_was_trained_on_is_not_what_it_was_evaluated_on(adapted: Done) -> None:
    """Evaluated as the champion on a later balance, it seemed to be trained on that one."""
    _, artifact = adapted
    with store.build("balance", "b2", {}) as out:
        (out / "balance.parquet").write_text("x")
    inputs = {"train": artifact.digest, "balance": store.load("balance", "b2").digest}
    with store.build("evaluate", "e1", {"inputs": inputs}) as out:
        (out / "metrics.json").write_text("{}")
    assert lineage.lineage_keys(artifact.key) == {"train": artifact.key, "balance": "b1", "evaluate": "e1"}


def test_the_gate_knows_all_pictures_that_it_has_seen(base: Path, own: Own, own_folder: Path, adapted: Done) -> None:
    balance = store.place("balance", "b1")
    trained_on = leakage.training_contents(base, balance)
    assert (len(trained_on), leakage.training_contents(base, None)) == (128, trained_on)
    second = own(10, 0, 900)
    _, again = adapted_to(adapted[1].folder, second)
    mine = {picture.sha256 for folder in (own_folder, second) for picture in own_pictures(folder).pictures}
    assert leakage.training_contents(again.folder, balance) == trained_on | mine
    assert leakage.training_contents(again.folder, None) == trained_on | mine
    assert leakage.are_known(again.folder, None)


@pytest.mark.bits
def test_the_same_pictures_give_the_same_bytes_and_other_labels_another_model(
    base: Path, own_folder: Path, adapted: Done, tmp_path: Path
) -> None:
    _, artifact = adapted
    contents = {path.name: path.read_bytes() for path in artifact.folder.iterdir() if path.name != file_names.RECORD}
    shutil.copytree(own_folder, copy := tmp_path / "copy")
    (copy / "AI").rename(copy / "ai")
    shutil.rmtree(artifact.folder)
    _, again = adapted_to(base, copy)
    assert again == artifact
    assert contents == {name: (again.folder / name).read_bytes() for name in contents}
    (copy / "human").rename(copy / "x")
    (copy / "ai").rename(copy / "human")
    (copy / "x").rename(copy / "AI")
    assert adapted_to(base, copy)[1].key != artifact.key


def test_human_pictures_alone_will_do(base: Path, own: Own) -> None:
    others, before = own(first=700), Detector.load(base)
    model, artifact = adapted_to(base, own(ai=0))
    after = Detector.load(artifact.folder)
    assert p_ai(after, others, "human").mean() < p_ai(before, others, "human").mean() - 0.1
    assert after.metadata["temperature"] == before.metadata["temperature"]
    counts = model.metrics["adapted"]
    assert counts["after"]["by_class"]["AI"]["pictures"] == 0
    assert set(counts["after"]) == {"by_class"}


@pytest.mark.slow
def test_crops_count_where_the_model_judges_them(base: Path, own: Own, tmp_path: Path) -> None:
    shutil.copytree(base, model := tmp_path / "crops")
    (model / file_names.RECORD).unlink()
    detector = replace(Detector.load(base), native_crops=2)
    detector.save(model / file_names.MODEL)
    folder = own(human=10, ai=10, scale=2)
    pictures = own_pictures(folder)
    x, _ = library._embeddings(detector, pictures, None)
    views = [picture_views.load(picture.path, detector.geometry, 2, picture.sha256) for picture in pictures.pictures]
    assert all(len(each.crops) == 2 for each in views)
    np.testing.assert_array_equal(x, detector.scores_of(views).embedding)
    assert np.abs(x - detector.scores(np.stack([each.whole for each in views])).embedding).max() > 0.01
    _, artifact = adapted_to(model, folder)
    assert Detector.load(artifact.folder).native_crops == 2


@pytest.mark.slow
def test_a_head_file_is_enough(base: Path, own: Own, own_folder: Path, adapted: Done, tmp_path: Path) -> None:
    """It is what the starter is. Its kernels are rounded, so the outcome is about the same."""
    others, whole = own(first=700), Detector.load(base)
    with np.load(base / file_names.PRECISION) as stored:
        extra = dict(stored)
    card = {**whole.metadata, "name": "starter", "starter": {"test": {}}}
    replace(whole, metadata=card).save_head(file := tmp_path / "model.npz", "float16", extra)
    _, artifact = adapted_to(file, own_folder)
    after, expected = Detector.load(artifact.folder), Detector.load(adapted[1].folder)
    assert after.id.startswith("artnet-")
    assert not {"name", "starter"} & after.metadata.keys()
    assert after.metadata["adapted"]["from"].startswith("starter-")
    for label in ("human", "AI"):
        np.testing.assert_allclose(p_ai(after, others, label), p_ai(expected, others, label), atol=0.02)
    assert lineage.lineage_keys(artifact.key) == {"train": artifact.key}


def test_it_claims_nothing_of_other_art(adapted: Done) -> None:
    metrics, artifact = adapted[0].metrics, adapted[1]
    (sentence,) = other_art.sentences(metrics)
    assert sentence.startswith("Nothing is known about its verdicts on art from other sources: it was adapted to 40 ")
    assert metrics["adapted"]["base"] in sentence
    assert other_art.rows(metrics) == []
    row = next(row for row in model_table.table() if row["key"] == artifact.key)
    assert (row["other_art"], row["evaluation"], row["fault"]) == (None, None, None)
    assert "not known" in model_table.render([row])


@pytest.mark.parametrize("kind", ["older artifact", "notebook preset", "model file"])
def test_a_model_without_a_posterior_is_one_line(
    kind: str, base: Path, own: Own, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(base, older := tmp_path / "older", ignore=shutil.ignore_patterns(file_names.PRECISION))
    model = {
        "older artifact": older,
        "notebook preset": trained / "artifacts" / "train" / "k1",
        "model file": base / file_names.MODEL,
    }[kind]
    with pytest.raises(ModelError, match=r"it cannot be adapted\. Only an artnet model with a linear") as error:
        adapted_to(model, own(10, 0))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_a_picture_that_changes_meanwhile_is_named(change: str, base: Path, own: Own) -> None:
    pictures = own_pictures(folder := own(10, 0))
    path = next((folder / "human").iterdir())
    path.unlink()
    if change == "replaced":
        shutil.copy(next((folder / "human").iterdir()), path)
    with pytest.raises(DataError, match=f"{path.name} was changed or removed meanwhile"):
        library.adapt(Detector.load(base), base, pictures)


def test_what_is_written_is_plain_json(adapted: Done) -> None:
    model, artifact = adapted
    written = json.loads((artifact.folder / file_names.METRICS).read_text())
    assert written == artifact.record["metrics"] == model.metrics | {file_names.ANCESTORS_KNOWN: True}
