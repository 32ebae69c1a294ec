import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artdetect import balance as stage
from artdetect.balance import BalanceConfig, balance
from artdetect.errors import DataError

CONFIG = BalanceConfig()
HUMAN, LD, SD = ("human", "human"), ("AI", "latent_diffusion"), ("AI", "stable_diffusion")
Strata = dict[tuple[str, tuple[str, str], str], int]  # (split, (label, generator), style) -> pictures
STRATA: Strata = {
    ("train", HUMAN, "baroque"): 90, ("train", HUMAN, "ukiyo_e"): 31,
    ("train", LD, "baroque"): 120, ("train", LD, "ukiyo_e"): 40,
    ("train", SD, "baroque"): 77, ("train", SD, "ukiyo_e"): 3,
    ("test", HUMAN, "baroque"): 10, ("test", LD, "baroque"): 15, ("test", SD, "ukiyo_e"): 5,
}  # fmt: skip


def rows(strata: Strata) -> pd.DataFrame:
    """An index with so many pictures; the content of each is its path."""
    found = []
    for (split, (label, generator), style), count in strata.items():
        for number in range(count):
            path = f"{split}/{label}-{generator}-{style}/{number:04d}.jpg"
            found.append((path, digest(path), label, style, generator, split, True))
    return pd.DataFrame(found, columns=["path", "sha256", "label", "style", "generator", "split", "ok"])


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def split(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table.split == name]


def with_row(table: pd.DataFrame, **changes: object) -> pd.DataFrame:
    """Another row, like the first but for the changes."""
    return pd.concat([table, table.iloc[[0]].assign(**changes)], ignore_index=True)


INDEX = rows(STRATA)
DRAWN = balance(INDEX, CONFIG)


@given(st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_rows_decides_nothing(random) -> None:
    order = list(range(len(INDEX)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(balance(INDEX.iloc[order], CONFIG), DRAWN)


def test_the_order_decides_nothing_among_copies_either() -> None:
    copied = pd.concat([INDEX, INDEX.assign(path="train/zz/" + INDEX.path.str.replace("/", "-"))], ignore_index=True)
    copied.loc[len(INDEX) :, "split"] = "train"
    expected = balance(copied, CONFIG)
    for seed in range(5):
        pd.testing.assert_frame_equal(balance(copied.sample(frac=1, random_state=seed), CONFIG), expected)


def test_another_seed_draws_others() -> None:
    other = balance(INDEX, BalanceConfig(seed=130))
    assert len(other) == len(DRAWN)
    for name in ("train", "validation"):
        assert set(split(other, name).path) != set(split(DRAWN, name).path)
    assert set(split(other, "test").path) == set(split(DRAWN, "test").path)


def test_train_and_validation_have_equal_classes() -> None:
    for name, expected in (("train", 109), ("validation", 12)):
        assert split(DRAWN, name).label.value_counts().to_dict() == {"AI": expected, "human": expected}


def test_the_test_set_is_that_of_the_data_set_whole() -> None:
    assert set(split(DRAWN, "test").path) == set(split(INDEX, "test").path)


def test_validation_comes_out_of_train() -> None:
    from_train = set(split(INDEX, "train").path)
    assert set(split(DRAWN, "validation").path) <= from_train
    assert set(split(DRAWN, "train").path) <= from_train


def test_the_result_is_sorted_and_each_picture_stands_once() -> None:
    assert list(DRAWN.path) == sorted(set(DRAWN.path))
    assert list(DRAWN.columns) == ["path", "sha256", "label", "style", "generator", "split"]


def test_every_stratum_gives_its_share_within_one_picture() -> None:
    drawn = DRAWN[DRAWN.split != "test"]
    for label, part in split(INDEX, "train").groupby("label"):
        share = 121 / len(part)
        for key, stratum in part.groupby(["generator", "style"]):
            got = len(drawn[(drawn.label == label) & (drawn.generator == key[0]) & (drawn["style"] == key[1])])
            assert abs(got - share * len(stratum)) <= 1, key


def test_every_stratum_gives_its_share_of_validation_within_one_picture() -> None:
    drawn = DRAWN[DRAWN.split != "test"]
    for key, stratum in drawn.groupby(["label", "generator", "style"]):
        assert abs((stratum.split == "validation").sum() - 0.1 * len(stratum)) <= 1, key


def test_one_picture_more_moves_almost_nothing_else() -> None:
    for number in range(5):
        new = {"path": f"train/new/{number}.jpg", "sha256": digest(f"new {number}")}
        for generator, label in (("latent_diffusion", "AI"), ("human", "human")):
            after = balance(with_row(INDEX, **new, generator=generator, label=label), CONFIG)
            both = DRAWN.merge(after, on="path", how="outer", suffixes=("", "_after"))
            moved = both.split.fillna("none").ne(both.split_after.fillna("none")).sum()
            assert moved <= 8, (number, label)


def test_no_content_stands_in_two_splits_or_twice_in_one_to_learn_from() -> None:
    table = INDEX.copy()
    table.loc[table.path.str.contains("000[0-4]"), "sha256"] = digest("one content in all folders")
    for number in range(20):
        table = with_row(table, path=f"train/copies/{number}.jpg", sha256=table.sha256[30 + number % 3])
    drawn = balance(table, CONFIG)
    assert drawn.groupby("sha256").split.nunique().max() == 1
    assert not drawn[drawn.split != "test"].sha256.duplicated().any()


def test_what_also_stands_in_test_does_not_train() -> None:
    tested = split(INDEX, "test").iloc[0]
    drawn = balance(with_row(INDEX, path="train/leak.jpg", sha256=tested.sha256, split="train"), CONFIG)
    assert "train/leak.jpg" not in set(drawn.path)
    assert tested.path in set(drawn.path)


def test_a_content_under_two_labels_does_not_train() -> None:
    disputed = split(INDEX, "train").iloc[0]
    drawn = balance(with_row(INDEX, path="train/other.jpg", label="AI", generator="latent_diffusion"), CONFIG)
    assert disputed.sha256 not in set(drawn.sha256)


def test_unreadable_pictures_are_left_out() -> None:
    table = INDEX.copy()
    bad = table.index % 7 == 0
    table.loc[bad, "ok"] = False
    table.loc[bad & (table.index % 2 == 0), "sha256"] = None
    assert not set(balance(table, CONFIG).path) & set(table.path[bad])


@pytest.mark.parametrize("split_name", ["train", "test"])
@pytest.mark.parametrize("label", ["AI", "human"])
def test_a_missing_class_is_named_with_where_its_pictures_belong(split_name: str, label: str) -> None:
    table = INDEX[(INDEX.split != split_name) | (INDEX.label != label)]
    with pytest.raises(DataError) as error:
        balance(table, CONFIG)
    assert f"{split_name} holds no {label} pictures" in str(error.value)
    assert f"{split_name}/<style>/" in str(error.value)
    assert f"{split_name}/AI_<GENERATOR>_<style>/" in str(error.value)


@pytest.mark.parametrize("ok", [True, False])
def test_nothing_at_all_is_one_line(ok: bool) -> None:
    table = INDEX.iloc[:0] if ok else INDEX.assign(ok=False)
    with pytest.raises(DataError, match="found: none at all"):
        balance(table.astype({"ok": bool}), CONFIG)


def tiny(humans: int, others: int) -> pd.DataFrame:
    return rows({
        ("train", HUMAN, "x"): humans, ("train", LD, "x"): others, ("test", HUMAN, "x"): 1, ("test", LD, "x"): 1,
    })  # fmt: skip


def test_a_single_picture_of_a_class_cannot_both_train_and_validate() -> None:
    with pytest.raises(DataError, match="one has to train and another to validate"):
        balance(tiny(1, 5), CONFIG)


@given(st.integers(2, 12), st.integers(2, 12), st.sampled_from([0.01, 0.1, 0.3, 0.49]))
@settings(max_examples=40, deadline=None)
def test_the_smallest_sets_have_both_classes_on_both_sides(humans: int, others: int, share: float) -> None:
    drawn = balance(tiny(humans, others), BalanceConfig(validation=share))
    counts = drawn.groupby(["split", "label"]).size()
    assert counts["validation", "AI"] == counts["validation", "human"] >= 1
    assert counts["train", "AI"] == counts["train", "human"] >= 1
    assert counts.drop("test").sum() == 2 * min(humans, others)


def test_the_stage_writes_the_same_bytes_in_every_order(tmp_path: Path) -> None:
    contents = []
    for number in range(2):
        folder, out = tmp_path / f"index{number}", tmp_path / f"out{number}"
        folder.mkdir()
        out.mkdir()
        INDEX.iloc[np.random.default_rng(number).permutation(len(INDEX))].to_parquet(folder / "index.parquet")
        stage.run(CONFIG, folder, out)
        contents.append((out / "balance.parquet").read_bytes())
    assert contents[0] == contents[1]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out0" / "balance.parquet"), DRAWN)
