"""The starter from a run of the pipeline's stages on drawn pictures: small, the same verdicts, no row of a picture."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect import balance, evaluate, index, retrain, starter, train
from artdetect.artifacts import file_names, registry
from artdetect.core.errors import ModelError
from artdetect.evaluate.config import EvaluateConfig
from artdetect.index import scan
from artdetect.model import choice, head_file
from artdetect.model.card import model_id_of, read_card
from artdetect.model.choice import STARTER
from artdetect.model.detector import Detector
from artdetect.monitoring import model_table
from artdetect.pictures import images
from artdetect.train.config import TrainConfig
from tests.tiny_dataset import no_groups

STAGES = ("index", "balance", "train", "evaluate", "report")
CARD = "# Model card of the whole model\n"


@pytest.fixture(scope="module")
def root(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of a run, a folder per stage, on the drawn pictures under another notice."""
    root = tmp_path_factory.mktemp("run")
    shutil.copytree(unpacked, pictures := root / "data" / "raw" / "drawn")
    (pictures / "NOTICE.txt").write_text("Drawn | by a program, in the public domain.")
    folders = {stage: root / stage for stage in STAGES}
    for folder in folders.values():
        folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(root / "data"))
        index.run(index.IndexConfig(), scan.scan(pictures), folders["index"])
        no_groups(root)
        balance.run(balance.BalanceConfig(), folders["index"], root, folders["balance"])
        config = TrainConfig(size=64, degraded_views=1, feature_blocks=("stem..block2",), pca_components=16)
        train.run(config, folders["balance"], pictures, folders["train"], root / "work")
        evaluate.run(
            EvaluateConfig(bootstrap_resamples=100, robustness_pictures=0),
            folders["index"],
            root,
            folders["balance"],
            folders["train"],
            pictures,
            folders["evaluate"],
        )
    (folders["report"] / file_names.MODEL_CARD).write_text(CARD)
    return root


@pytest.fixture
def folders(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.setenv("ARTDETECT_DATA", str(root / "data"))
    return {stage: root / stage for stage in STAGES}


@pytest.fixture
def written(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    starter.write(folders, tmp_path / "out" / "model.npz")
    monkeypatch.setattr(choice, "STARTER_FILE", tmp_path / "out" / "model.npz")
    return tmp_path / "out"


def test_it_gives_the_verdicts_of_the_whole_model(folders: dict[str, Path], written: Path) -> None:
    whole, small = Detector.load(folders["train"]), Detector.load(choice.choose(STARTER).path)
    paths = sorted((folders["train"].parent / "data" / "raw" / "drawn" / "test").rglob("*.jpg"))
    pixels = np.stack([images.load(path, whole.geometry) for path in paths])
    expected, found = whole.scores(pixels), small.scores(pixels)
    np.testing.assert_allclose(found.p_ai, expected.p_ai, atol=starter.TOLERANCE)
    np.testing.assert_allclose(found.novelty, expected.novelty, rtol=0.01)
    assert small.rule == whole.rule
    assert small.id.startswith("starter-")
    assert (small.notice, small.demonstration) == ("Drawn | by a program, in the public domain.", False)


def test_it_counts_sources_and_holds_no_row_of_a_picture(folders: dict[str, Path], written: Path) -> None:
    record = json.loads((written / starter.RECORD).read_text())
    table = pd.read_parquet(folders["balance"] / file_names.BALANCE)
    for split in ("train", "validation", "test"):
        assert sum(row[split] for row in record["sources"]) == (table.split == split).sum() > 0
    assert {row["label"] for row in record["sources"]} == {"AI", "human"}
    assert record["bytes"] == (written / "model.npz").stat().st_size < starter.MAX_BYTES
    content = b"".join(path.read_bytes() for path in written.iterdir())
    for name in (*table.sha256, *table.path):
        assert name.encode() not in content
    with zipfile.ZipFile(written / "model.npz") as archive:
        shapes = {name: np.load(archive.open(name)).shape for name in archive.namelist() if name.endswith(".npy")}
    assert len(table[table.split == "train"]) not in {size for shape in shapes.values() for size in shape}


def test_licences_are_those_that_tables_of_sources_state(folders: dict[str, Path], tmp_path: Path) -> None:
    balance = pd.read_parquet(folders["balance"] / file_names.BALANCE)
    first, *others = sorted(set(balance.source))
    table, silent = tmp_path / "sources.csv", tmp_path / "silent.csv"
    table.write_text(f'folder,source,licence\nx,{first},"MIT\n| licence"\ny,{others[0]},\n')
    silent.write_text("folder,source\nx,y\n")
    record = starter.write(folders, tmp_path / "out" / "model.npz", [silent, table])
    assert {row["source"]: row["licence"] for row in record["sources"]} == {
        first: "MIT | licence",
        **dict.fromkeys(others, "none stated"),
    }
    assert "MIT &#124; licence" in (tmp_path / "out" / starter.MODEL_CARD).read_text()


def test_record_and_card_say_what_it_is(folders: dict[str, Path], written: Path) -> None:
    record = json.loads((written / starter.RECORD).read_text())
    detector = Detector.load(written / "model.npz")
    assert record["sha256"] == detector.digest
    metrics = json.loads((folders["evaluate"] / file_names.METRICS).read_text())
    assert record["test"]["accuracy"] == metrics["accuracy"]
    assert read_card(written / "model.npz")["starter"].items() <= record.items()
    card = (written / starter.MODEL_CARD).read_text()
    assert card.startswith(f"# The starter: {detector.id}\n")
    assert "Drawn &#124; by a program, in the public domain." in card
    assert card.endswith(CARD)
    *_, row = model_table.table()
    assert (row["key"], row["evaluation"]["accuracy"]) == ("starter", metrics["accuracy"])


def test_it_holds_the_posterior_that_adapting_starts_from(folders: dict[str, Path], written: Path) -> None:
    with np.load(folders["train"] / file_names.PRECISION) as stored:
        expected = dict(stored)
    found = head_file.extra_arrays(written / "model.npz")
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_the_first_challenger_is_judged_against_it(
    folders: dict[str, Path], written: Path, roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It becomes the champion, which the gate evaluates on the challenger's test pictures and a rollback returns to."""
    monkeypatch.setenv("ARTDETECT_DATA", str(folders["train"].parent / "data"))
    champion = retrain.current_champion()
    assert champion == retrain.current_champion() == registry.champion()
    folder = registry.champion_model()
    assert Detector.load(folder).digest == Detector.load(written / "model.npz").digest
    assert choice.choose() == choice.Choice(folder, "champion", champion.train)
    (roots / "scores").mkdir()
    pictures = folders["train"].parent / "data" / "raw" / "drawn"
    config = EvaluateConfig(bootstrap_resamples=100, robustness_pictures=0)
    evaluate.run(
        config, folders["index"], folders["train"].parent, folders["balance"], folder, pictures, roots / "scores"
    )
    mine, its = (pd.read_parquet(place / file_names.PREDICTIONS) for place in (roots / "scores", folders["evaluate"]))
    np.testing.assert_allclose(mine.p_ai, its.p_ai, atol=starter.TOLERANCE)
    assert model_id_of(folder) == Detector.load(folder).id
    with np.load(folder / file_names.PRECISION) as stored:
        assert set(stored) == set(head_file.extra_arrays(written / "model.npz"))


def test_the_same_run_gives_the_same_bytes(folders: dict[str, Path], written: Path, tmp_path: Path) -> None:
    starter.write(folders, tmp_path / "again" / "model.npz")
    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_demonstration_is_no_starter(folders: dict[str, Path], tmp_path: Path, model: Path) -> None:
    from tests.model.test_choice import with_card

    (tmp_path / "train").mkdir()
    with_card(folders["train"], tmp_path / "train" / file_names.MODEL, demonstration=True)
    with pytest.raises(ModelError, match="marked as a demonstration, so it can be no starter"):
        starter.write(folders | {"train": tmp_path / "train"}, tmp_path / "model.npz")
    assert not (tmp_path / "model.npz").exists()
    with pytest.raises(ModelError, match="a head file needs a model of preset artnet"):
        starter.write(folders | {"train": model}, tmp_path / "model.npz")


@pytest.mark.parametrize(("limit", "message"), [("MAX_BYTES", "bytes, at most"), ("TOLERANCE", "rounding to float16")])
def test_one_that_is_too_large_or_differs_is_not_written(
    limit: str, message: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, limit, 0)
    with pytest.raises(ModelError, match=message):
        starter.write(folders, tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())
