"""Folds leave out whole sources and generators, whatever the order of the rows; weights are roots of their sizes."""

import hashlib
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from artdetect.pictures import source_folds
from artdetect.pictures.labels import CLASSES
from artdetect.pictures.source_folds import FOLDS, source_weights


def table(rows: list[tuple[str, str, str]], groups: list[object] | None = None) -> pd.DataFrame:
    """Training pictures from (label, source, generator) of each."""
    pictures = pd.DataFrame(rows, columns=["label", "source", "generator"])
    sha256s = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(len(rows))]
    return pictures.assign(sha256=sha256s, group=groups or [None] * len(rows))


ROWS = st.tuples(st.sampled_from(CLASSES), st.sampled_from("abcdefgh"), st.sampled_from("uvwxyz"))


@st.composite
def pictures(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.lists(ROWS, min_size=2, max_size=60))
    rows = [(label, source, "human" if label == "human" else generator) for label, source, generator in rows]
    assume(len({row[0] for row in rows}) == 2)
    groups = draw(st.lists(st.sampled_from([None, None, None, "1", "2", "3"]), min_size=len(rows), max_size=len(rows)))
    return table(rows, groups)


def connected(rows: pd.DataFrame) -> list[set[int]]:
    """The AI pictures that share a source or a generator, directly or through others, by merging until none do."""
    parts = [{number} for number in np.flatnonzero(rows.label == "AI")]

    def touch(one: set[int], other: set[int]) -> bool:
        return any(
            set(rows[name].iloc[list(one)]) & set(rows[name].iloc[list(other)]) for name in ("source", "generator")
        )

    while pair := next(((a, b) for a, b in combinations(parts, 2) if touch(a, b)), None):
        parts = [part for part in parts if part not in pair] + [pair[0] | pair[1]]
    return parts


@settings(deadline=None, max_examples=60)
@given(pictures())
def test_sources_that_share_a_generator_are_one_group_named_after_the_largest_source(rows: pd.DataFrame) -> None:
    groups = source_folds.source_folds(rows).groups
    human = (rows.label == "human").to_numpy()
    assert groups[human].tolist() == rows.source[human].tolist()
    for part in connected(rows):
        sources = rows.source.iloc[list(part)].value_counts()
        assert set(groups[list(part)]) == {min(sources.index[sources == sources.max()])}
    ai = [frozenset(np.flatnonzero(~human & (groups == name))) for name in set(groups[~human])]
    assert set(ai) == set(map(frozenset, connected(rows)))


@settings(deadline=None, max_examples=60)
@given(pictures())
def test_a_group_is_never_in_two_folds_and_a_class_of_one_group_is_spread_evenly(rows: pd.DataFrame) -> None:
    found = source_folds.source_folds(rows)
    for label in CLASSES:
        members = (rows.label == label).to_numpy()
        folds = pd.Series(found.folds[members]).groupby(found.groups[members])
        if len(folds) > 1:
            assert folds.nunique().eq(1).all()
            assert pd.Series(found.folds[members]).nunique() == min(FOLDS, len(folds))
        else:
            sizes = np.bincount(found.folds[members], minlength=FOLDS)
            assert sizes.max() - sizes.min() <= 1
    assert found.folds.max() < FOLDS


@settings(deadline=None, max_examples=60)
@given(pictures())
def test_what_is_held_out_trains_nothing_nor_do_its_near_duplicates(rows: pd.DataFrame) -> None:
    found = source_folds.source_folds(rows)
    held_out_somewhere = []
    for fold in found.numbers:
        rest, held_out = found.split(fold)
        held_out_somewhere += held_out.tolist()
        copies = set(rows.group.iloc[held_out].dropna())
        expected = [
            number
            for number, group in enumerate(rows.group)
            if found.folds[number] != fold and (group is None or group not in copies)
        ]
        assert rest.tolist() == expected
        for label in CLASSES:
            groups = [found.groups[part][(rows.label.iloc[part] == label).to_numpy()] for part in (rest, held_out)]
            if rows.label.eq(label).sum() and len(set(found.groups[(rows.label == label).to_numpy()])) > 1:
                assert not set(groups[0]) & set(groups[1])
    assert sorted(held_out_somewhere) == list(range(len(rows)))


@settings(deadline=None, max_examples=40)
@given(pictures(), st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows: pd.DataFrame, random) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    one, other = source_folds.source_folds(rows), source_folds.source_folds(rows.iloc[order].reset_index(drop=True))
    np.testing.assert_array_equal(one.folds[order], other.folds)
    np.testing.assert_array_equal(one.groups[order], other.groups)


def test_folds_are_about_as_large() -> None:
    """No fold is larger than the largest source and a fair share together."""
    sizes = [90, 50, 40, 30, 30, 20, 20, 10, 10, 10]
    rows = [("human", f"s{number}", "human") for number, size in enumerate(sizes) for _ in range(size)]
    rows += [("AI", f"g{number}", f"g{number}") for number in range(12) for _ in range(7)]
    found = source_folds.source_folds(table(rows))
    human, ai = np.bincount(found.folds[: sum(sizes)]), np.bincount(found.folds[sum(sizes) :])
    assert human.max() == 90
    assert human.min() >= 40
    assert ai.tolist() == [14] * FOLDS


def test_a_generator_without_a_name_and_pictures_without_groups_are_no_crash() -> None:
    rows = table([("human", "unknown", "human")] * 3 + [("AI", "unknown", "unknown")] * 3)
    found = source_folds.source_folds(rows)
    assert found.duplicates.tolist() == [""] * 6
    assert [len(set(found.folds[part])) for part in (slice(3), slice(3, 6))] == [3, 3]


def test_a_part_keeps_each_pictures_fold() -> None:
    found = source_folds.source_folds(table([("human", s, "human") for s in "aabbc"] + [("AI", s, s) for s in "xyz"]))
    rows = np.array([True, False] * 4)
    part = found.part(rows)
    for name in ("groups", "folds", "duplicates"):
        np.testing.assert_array_equal(getattr(part, name), getattr(found, name)[rows])


# --- weights ---


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 1)), min_size=1, max_size=50))
def test_a_group_weighs_the_root_of_its_size_and_classes_the_same(rows: list[tuple[str, int]]) -> None:
    groups, classes = np.array([name for name, _ in rows]), np.array([number for _, number in rows])
    weights = source_weights(groups, classes)
    assert weights.mean() == pytest.approx(1)
    totals = [weights[classes == number].sum() for number in set(classes.tolist())]
    assert totals == pytest.approx([len(rows) / len(totals)] * len(totals))
    for number in set(classes.tolist()):
        sizes = {name: ((groups == name) & (classes == number)).sum() for name in set(groups[classes == number])}
        weighed = {name: weights[(groups == name) & (classes == number)].sum() for name in sizes}
        expected = {name: size**0.5 for name, size in sizes.items()}
        scale = sum(weighed.values()) / sum(expected.values())
        assert weighed == pytest.approx({name: x * scale for name, x in expected.items()})
