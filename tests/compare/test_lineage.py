"""What the records say of two evaluated models."""

import json
import shutil
from pathlib import Path

import pytest

from artdetect.artifacts import store
from artdetect.artifacts.lineage import lineage
from artdetect.compare import compare, render_text
from artdetect.core import digests
from artdetect.core.errors import ArtifactError
from artdetect.monitoring import evaluation_page

from .conftest import NEW, OLD, evaluated, evaluated_again, pictures, predicted


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


def test_a_model_that_was_tested_on_later_data_is_shown_with_the_pictures_that_it_was_trained_on(
    pair: tuple[Path, Path],
) -> None:
    """As the champion is in a retraining."""
    again = evaluated_again(OLD, balance=store.load("balance", f"2{NEW}").digest)
    result = compare(again, pair[1], 20)
    assert [result[side]["artifacts"]["balance"] for side in ("old", "new")] == [f"2{NEW}", f"2{NEW}"]
    assert [result[side]["trained_on"] for side in ("old", "new")] == [f"2{OLD}", f"2{NEW}"]
    rows = {(row["split"], row["label"]): row for row in result["data"]["splits"]}
    assert (rows["train", "AI"]["old"]["pictures"], rows["train", "AI"]["new"]["pictures"]) == (8, 16)
    assert rows["test", "AI"]["old"]["pictures"] == 160
    (changed,) = (row for row in result["changes"]["packages"] if (row["name"], row["old"]) == ("keras", "3.14.0"))
    assert changed["stages"] == ["balance", "train"]
    assert f"trained on balance  2{OLD}" in render_text(result)
    assert "trained on balance" not in render_text(compare(*pair, 20))


def test_its_page_says_which_pictures_it_was_trained_on(pair: tuple[Path, Path], root: Path) -> None:
    again = evaluated_again(OLD, balance=store.load("balance", f"2{NEW}").digest)
    trained_on = evaluation_page.trained_on
    assert trained_on(again, lineage(again)) == store.place("balance", f"2{OLD}")
    assert trained_on(pair[0], lineage(pair[0])) is None
    elsewhere = {stage: artifact for stage, artifact in lineage(again).items() if stage != "train"}
    assert trained_on(again, elsewhere) is None
    shown = lineage(again)
    shutil.rmtree(root / "balance" / f"2{OLD}")
    with pytest.raises(ArtifactError, match="the balance that its model was trained on no longer exists, so no page"):
        trained_on(again, shown)


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
