"""Near-duplicates stay together, and do not leak between splits."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from artdetect.balance import BalanceConfig, balance
from artdetect.core.errors import DataError

from .tables import (
    BALANCED,
    CONFIG,
    HUMAN,
    INDEX,
    LD,
    SD,
    add_row,
    balanced,
    counts,
    digest,
    groups_table,
    split,
    stratum_paths,
)


def test_a_group_stays_in_one_split_with_every_seed() -> None:
    groups = [stratum_paths(*HUMAN, "baroque", 60)[start : start + 3] for start in range(0, 60, 3)]
    sides = set()
    for seed in range(4):
        found = balance(INDEX, groups_table(*groups), BalanceConfig(method="undersample", seed=seed))
        assert counts(found) == counts(BALANCED)  # validation still has exactly 12 of each class
        for paths in groups:
            (side,) = set(found[found.path.isin(paths)].split)
            sides.add(side)
    assert sides == {"train", "validation"}


def test_a_near_duplicate_of_a_test_picture_does_not_train() -> None:
    near = stratum_paths(*HUMAN, "baroque", 2)
    tested = stratum_paths(*LD, "baroque", 1, "test")
    found = balance(INDEX, groups_table(near + tested), CONFIG)
    assert not set(near) & set(found.path)
    assert set(split(found, "test").path) == set(split(INDEX, "test").path)


def test_near_duplicates_under_two_labels_do_not_train() -> None:
    near = [*stratum_paths(*HUMAN, "baroque", 1), *stratum_paths(*LD, "baroque", 2)]
    assert not set(near) & set(balance(INDEX, groups_table(near), CONFIG).path)


def test_near_duplicates_of_one_label_are_all_used() -> None:
    near = stratum_paths(*HUMAN, "ukiyo_e", 5)  # human is the rarer class, so none is left out
    found = balance(INDEX, groups_table(near), CONFIG)
    assert set(near) <= set(found.path)


def test_the_group_column_identifies_near_duplicates() -> None:
    near, tested = stratum_paths(*HUMAN, "ukiyo_e", 3), stratum_paths(*LD, "baroque", 2, "test")
    gone = [*stratum_paths(*SD, "baroque", 1), *stratum_paths(*SD, "ukiyo_e", 1, "test")]
    found = balance(INDEX, groups_table(gone, near, tested), CONFIG).set_index("path").group
    assert set(found[near]) == {min(map(digest, near))[:16]}
    assert set(found[tested]) == {min(map(digest, tested))[:16]}
    assert found.notna().sum() == 5  # the test picture whose near-duplicate was left out has no group


def test_other_groups_and_group_numbers_change_no_row() -> None:
    near, other = stratum_paths(*HUMAN, "ukiyo_e", 3), stratum_paths(*LD, "baroque", 2, "test")
    alone = balance(INDEX, groups_table(near), CONFIG)
    both = balance(INDEX, groups_table(other, near), CONFIG)
    far = ~both.path.isin(other)
    pd.testing.assert_frame_equal(both[far], alone[far])


def test_an_added_exact_copy_changes_nothing() -> None:
    copied = add_row(INDEX, path="train/zz-copy.jpg")
    pd.testing.assert_frame_equal(balanced(copied), BALANCED)


def test_a_class_that_is_a_single_group_is_an_error() -> None:
    with pytest.raises(DataError, match="the 90 usable human pictures in train are all near-duplicates"):
        balance(INDEX[INDEX["style"] == "baroque"], groups_table(stratum_paths(*HUMAN, "baroque", 90)), CONFIG)


@pytest.mark.parametrize(
    ("sizes", "validating"), [([45, 45], 9), ([89, 1], 1), ([30, 20, 40], 9), ([7] * 12 + [6], 7), ([4, 4, 4, 78], 8)]
)
def test_classes_stay_equal_if_groups_do_not_fit(sizes: list[int], validating: int) -> None:
    """9 of 90 should validate: whole groups, at least the smallest one, then reduced to equal classes."""
    paths = iter(stratum_paths(*HUMAN, "baroque", 90))
    groups = [[next(paths) for _ in range(size)] for size in sizes]
    table = INDEX[(INDEX["style"] == "baroque") | (INDEX.split == "test")]
    found = balance(table, groups_table(*(group for group in groups if len(group) > 1)), CONFIG)
    number = counts(found)
    assert number["validation", "AI"] == number["validation", "human"] == validating
    assert number["train", "AI"] == number["train", "human"]
    for group in groups:
        assert found[found.path.isin(group)].split.nunique() == 1


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """An index with exact_groups, and groups of near-duplicates that hold those exact_groups."""
    size = draw(st.integers(30, 80))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    content = random.integers(0, draw(st.integers(size // 2, 2 * size)), size)
    cluster = random.integers(0, draw(st.integers(size // 2, 2 * size)), 2 * size)[content]
    kinds = [HUMAN, LD, SD]
    chosen = random.integers(0, 3, size)
    table = pd.DataFrame({
        "path": [f"{number:03d}.jpg" for number in range(size)],
        "sha256": [digest(str(number)) for number in content],
        "label": [kinds[kind][0] for kind in chosen],
        "style": random.choice(["x", "y"], size),
        "generator": [kinds[kind][1] for kind in chosen],
        "source": "a source",
        "split": random.choice(["train", "train", "train", "test"], size),
        "ok": random.random(size) < 0.95,
        "cluster": cluster,
    })  # fmt: skip
    readable = table[table.ok & table[table.ok].duplicated("cluster", keep=False)]
    return table, readable[["path", "cluster"]].rename(columns={"cluster": "group"})


@given(
    tables(),
    st.sampled_from(["undersample", "weights", "none"]),
    st.sampled_from([(), ("stable_diffusion",)]),
    st.sampled_from([0.05, 0.2, 0.45]),
)
@settings(max_examples=20, deadline=None)
def test_no_group_leaks_between_splits(
    table_and_groups, method: str, held_out_generators: tuple[str, ...], share: float
) -> None:
    table, groups = table_and_groups
    config = BalanceConfig(method=method, held_out_generators=held_out_generators, validation_fraction=share)
    try:
        found = balance(table, groups, config)
    except DataError:  # a missing class or a single group; other tests cover these
        reject()
    joined = found.merge(table[["path", "cluster"]], on="path")
    assert joined.groupby("cluster").split.nunique().max() == 1
    learned = joined[joined.split != "test"]
    assert learned.groupby("cluster").label.nunique().max() == 1
    assert not learned.sha256.duplicated().any()
    assert set(split(joined, "test").path) == set(table.path[table.ok & (table.split == "test")])
    assert (found.split == "held_out").eq(found.generator.isin(held_out_generators) & (found.split != "test")).all()
    number = counts(found)
    for name in ("train", "validation"):
        assert min(number[name, "AI"], number[name, "human"]) >= 1
        if method == "undersample":
            assert number[name, "AI"] == number[name, "human"]
        else:
            weight = split(found, name).groupby("label").weight.sum()
            equal = weight["AI"] == pytest.approx(weight["human"])
            assert equal or method == "none"
    shuffled = balance(table.sample(frac=1, random_state=1), groups.sample(frac=1, random_state=2), config)
    pd.testing.assert_frame_equal(shuffled, found)
