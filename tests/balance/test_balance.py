"""How pictures are assigned to splits, and the bytes of the stage."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artdetect import balance as stage
from artdetect.balance import BalanceConfig, balance
from artdetect.core.errors import DataError

from .tables import (
    BALANCED,
    CONFIG,
    HUMAN,
    INDEX,
    LD,
    add_row,
    balanced,
    counts,
    digest,
    groups_table,
    rows,
    split,
    stratum_paths,
)


@given(st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_the_order_of_the_rows_does_not_matter(random) -> None:
    order = list(range(len(INDEX)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(balanced(INDEX.iloc[order]), BALANCED)


def test_the_order_of_copies_does_not_matter_either() -> None:
    copied = pd.concat([INDEX, INDEX.assign(path="train/zz/" + INDEX.path.str.replace("/", "-"))], ignore_index=True)
    copied.loc[len(INDEX) :, "split"] = "train"
    expected = balanced(copied)
    for seed in range(5):
        pd.testing.assert_frame_equal(balanced(copied.sample(frac=1, random_state=seed)), expected)


def test_another_seed_draws_other_pictures() -> None:
    other = balanced(INDEX, BalanceConfig(method="undersample", seed=130))
    assert len(other) == len(BALANCED)
    for name in ("train", "validation"):
        assert set(split(other, name).path) != set(split(BALANCED, name).path)
    assert set(split(other, "test").path) == set(split(BALANCED, "test").path)


def test_train_and_validation_have_equal_classes() -> None:
    for name, expected in (("train", 109), ("validation", 12)):
        assert split(BALANCED, name).label.value_counts().to_dict() == {"AI": expected, "human": expected}


def test_the_test_set_is_the_whole_test_split_of_the_data_set() -> None:
    assert set(split(BALANCED, "test").path) == set(split(INDEX, "test").path)


def test_validation_is_taken_from_train() -> None:
    from_train = set(split(INDEX, "train").path)
    assert set(split(BALANCED, "validation").path) <= from_train
    assert set(split(BALANCED, "train").path) <= from_train


def test_the_result_is_sorted_and_has_each_picture_once() -> None:
    assert list(BALANCED.path) == sorted(set(BALANCED.path))
    columns = ["path", "sha256", "label", "style", "generator", "source", "split", "group", "weight"]
    assert list(BALANCED.columns) == columns


def test_every_picture_keeps_its_source() -> None:
    assert (BALANCED.source == "source of " + BALANCED["style"]).all()


@pytest.mark.parametrize(("name", "pictures"), [("train", 109), ("validation", 12)])
def test_every_stratum_contributes_its_share_within_one_picture(name: str, pictures: int) -> None:
    found = split(BALANCED, name).groupby(["label", "generator", "style"]).size()
    offered = split(INDEX, "train").groupby(["label", "generator", "style"]).size()
    share = pictures / offered.groupby("label").transform("sum")
    assert (found.reindex(offered.index, fill_value=0) - share * offered).abs().max() <= 1


def test_an_added_picture_moves_almost_no_other() -> None:
    for number in range(5):
        new = {"path": f"train/new/{number}.jpg", "sha256": digest(f"new {number}")}
        for generator, label in (("latent_diffusion", "AI"), ("human", "human")):
            after = balanced(add_row(INDEX, **new, generator=generator, label=label))
            both = BALANCED.merge(after, on="path", how="outer", suffixes=("", "_after"))
            moved = both.split.fillna("none").ne(both.split_after.fillna("none")).sum()
            assert moved <= 8, (number, label)


def test_no_content_is_in_two_splits_or_twice_in_training() -> None:
    table = INDEX.copy()
    table.loc[table.path.str.contains("000[0-4]"), "sha256"] = digest("one content in all folders")
    for number in range(20):
        table = add_row(table, path=f"train/exact_groups/{number}.jpg", sha256=table.sha256[30 + number % 3])
    found = balanced(table)
    assert found.groupby("sha256").split.nunique().max() == 1
    assert not found[found.split != "test"].sha256.duplicated().any()


def test_a_copy_of_a_test_picture_does_not_train() -> None:
    tested = split(INDEX, "test").iloc[0]
    found = balanced(add_row(INDEX, path="train/leak.jpg", sha256=tested.sha256, split="train"))
    assert "train/leak.jpg" not in set(found.path)
    assert tested.path in set(found.path)


def test_a_content_under_two_labels_does_not_train() -> None:
    disputed = split(INDEX, "train").iloc[0]
    found = balanced(add_row(INDEX, path="train/other.jpg", label="AI", generator="latent_diffusion"))
    assert disputed.sha256 not in set(found.sha256)


def test_unreadable_pictures_are_left_out() -> None:
    table = INDEX.copy()
    bad = table.index % 7 == 0
    table.loc[bad, "ok"] = False
    table.loc[bad & (table.index % 2 == 0), "sha256"] = None
    assert not set(balanced(table).path) & set(table.path[bad])


def test_pictures_of_an_excluded_source_are_in_no_split() -> None:
    source = "a poor scanner"
    table = INDEX.assign(source=INDEX.source.where(INDEX.index % 7 != 0, source))
    found = balanced(table, BalanceConfig(excluded_sources=(source,)))
    assert source in set(balanced(table).source)
    assert set(found.path) == set(balanced(table[table.source != source], BalanceConfig()).path)
    with pytest.raises(DataError, match="'nowhere', which is no source"):
        balanced(INDEX, BalanceConfig(excluded_sources=("nowhere",)))


@pytest.mark.parametrize("split_name", ["train", "test"])
@pytest.mark.parametrize("label", ["AI", "human"])
def test_a_missing_class_is_named_with_its_folders(split_name: str, label: str) -> None:
    table = INDEX[(INDEX.split != split_name) | (INDEX.label != label)]
    with pytest.raises(DataError) as error:
        balanced(table)
    assert f"{split_name} holds no {label} pictures" in str(error.value)
    assert f"{split_name}/<style>/" in str(error.value)
    assert f"{split_name}/AI_<GENERATOR>_<style>/" in str(error.value)


def test_a_class_lost_to_copies_has_its_own_error() -> None:
    table = INDEX.copy()
    copied = (table.split == "train") & (table.label == "AI")
    table.loc[copied, "sha256"] = table.sha256[table.split == "test"].iloc[0]
    with pytest.raises(DataError, match=f"train holds no usable AI picture: all {copied.sum()} have a near"):
        balanced(table)


def test_a_single_held_out_generator_may_be_a_string() -> None:
    assert BalanceConfig.model_validate({"held_out_generators": "LD"}).held_out_generators == ("LD",)


@pytest.mark.parametrize("ok", [True, False])
def test_an_empty_index_is_an_error(ok: bool) -> None:
    table = INDEX.iloc[:0] if ok else INDEX.assign(ok=False)
    with pytest.raises(DataError, match="found: none at all"):
        balanced(table.astype({"ok": bool}))


def tiny_index(humans: int, others: int) -> pd.DataFrame:
    return rows({
        ("train", HUMAN, "x"): humans, ("train", LD, "x"): others, ("test", HUMAN, "x"): 1, ("test", LD, "x"): 1,
    })  # fmt: skip


def test_a_class_needs_two_pictures() -> None:
    with pytest.raises(DataError, match="training and validation need one each"):
        balanced(tiny_index(1, 5))


@given(st.integers(2, 12), st.integers(2, 12), st.sampled_from([0.01, 0.1, 0.3, 0.49]))
@settings(max_examples=25, deadline=None)
def test_the_smallest_sets_have_both_classes_in_train_and_validation(humans: int, others: int, share: float) -> None:
    found = counts(balanced(tiny_index(humans, others), BalanceConfig(method="undersample", validation_fraction=share)))
    assert found["validation", "AI"] == found["validation", "human"] == max(1, round(share * min(humans, others)))
    assert found["train", "AI"] == found["train", "human"] >= 1
    assert sum(found.values()) - 2 == 2 * min(humans, others)


def written(folder: Path, table: pd.DataFrame, groups: pd.DataFrame) -> bytes:
    """The bytes that the stage writes for an index and groups."""
    folder.mkdir()
    table.to_parquet(folder / "index.parquet")
    groups.to_parquet(folder / "groups.parquet")
    stage.run(CONFIG, folder, folder, folder)
    return (folder / "balance.parquet").read_bytes()


@pytest.mark.parametrize("alike", [0, 4])
def test_the_stage_writes_the_same_bytes_in_every_order(alike: int, tmp_path: Path) -> None:
    groups = groups_table(*[stratum_paths(*HUMAN, "baroque", alike)] * bool(alike))
    contents = {
        written(tmp_path / str(number), INDEX.sample(frac=1, random_state=number), groups.sample(frac=1))
        for number in range(2)
    }
    assert len(contents) == 1
    read = pd.read_parquet(tmp_path / "0" / "balance.parquet")
    pd.testing.assert_frame_equal(read, balance(INDEX, groups, CONFIG))
    assert read.group.notna().sum() == alike
