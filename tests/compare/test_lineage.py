"""What the records say of two evaluated models."""

import json
import shutil
from pathlib import Path

import pytest

from artdetect.artifacts import store
from artdetect.compare import compare, render_text
from artdetect.core import digests
from artdetect.core.errors import ArtifactError

from .conftest import NEW, OLD, evaluated, pictures, predicted


def test_changes_are_read_from_the_records(pair: tuple[Path, Path]) -> None:
    assert compare(*pair, 20)["changes"] == {
        "config": [
            {"name": "train.epochs", "stages": ["train"], "old": 20, "new": 22},
            {"name": "train.precision", "stages": ["train"], "old": None, "new": "bfloat16"},
        ],
        "code": [
            {
                "name": "artdetect.pictures.images",
                "stages": ["balance", "train", "evaluate"],
                "old": "1" * 16,
                "new": "3" * 16,
            }
        ],
        "packages": [{"name": "keras", "stages": ["balance", "train", "evaluate"], "old": "3.14.0", "new": "3.15.1"}],
        "inputs": [],
    }


def test_pictures_are_counted_by_split_label_and_generator(pair: tuple[Path, Path]) -> None:
    rows = {(row["split"], row["label"]): row for row in compare(*pair, 20)["data"]["splits"]}
    assert list(rows) == [("train", "AI"), ("train", "human"), ("test", "AI"), ("test", "human")]
    assert rows["train", "AI"]["old"]["generators"] == {"latent_diffusion": 4, "stable_diffusion": 4}
    assert rows["train", "AI"]["new"] == {
        "pictures": 16, "generators": {"latent_diffusion": 13, "stable_diffusion": 3},
    }  # fmt: skip
    assert rows["test", "human"]["new"]["pictures"] == 80


def test_each_side_names_its_model_and_its_artifacts(pair: tuple[Path, Path]) -> None:
    old = compare(*pair, 20)["old"]
    assert old["artifacts"] == {
        "index": None, "audit": None, "balance": f"2{OLD}", "train": f"1{OLD}", "evaluate": OLD,
    }  # fmt: skip
    assert old["model"] == f"compact-{digests.file_digest(store.place('train', f'1{OLD}') / 'model.keras')[:8]}"
    assert old["folder"] == str(pair[0])


def test_of_trainings_to_the_same_model_the_one_that_was_evaluated_counts() -> None:
    first = evaluated("same0", predicted(pictures(), 1), {"epochs": 20}, model="same")
    second = evaluated("same1", predicted(pictures(), 1), {"epochs": 30}, model="same")
    result = compare(first, second, 20)
    assert [result[side]["artifacts"]["train"] for side in ("old", "new")] == ["1same0", "1same1"]
    assert [row["new"] for row in result["changes"]["config"]] == [30]


def test_missing_artifacts_are_noted_and_the_rest_is_compared(pair: tuple[Path, Path], root: Path) -> None:
    shutil.rmtree(root / "train" / f"1{OLD}")
    shutil.rmtree(root / "balance" / f"2{OLD}")
    result = compare(*pair, 20)
    assert (result["old"]["model"], result["old"]["trained"]) == (None, None)
    assert result["changes"]["config"] == []
    assert [change["stages"] for change in result["changes"]["code"]] == [["evaluate"]]
    assert "train (old)" in result["notes"][-1]
    rows = {(row["split"], row["label"]): row for row in result["data"]["splits"]}
    assert rows["train", "AI"]["old"] is None
    assert rows["test", "AI"]["old"]["pictures"] == 160
    json.dumps(result, allow_nan=False)
    assert render_text(result).startswith("a model that no longer exists → compact-")


def test_a_damaged_table_is_named(pair: tuple[Path, Path], root: Path) -> None:
    path = root / "balance" / f"2{NEW}" / "balance.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=str(path)):
        compare(*pair)
    (pair[0] / "predictions.parquet").unlink()
    with pytest.raises(ArtifactError, match=f"{OLD}/predictions.parquet: missing"):
        compare(*pair)
