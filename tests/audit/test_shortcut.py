"""The shortcut test: it finds and names revealing file properties, and raises no false alarms."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artdetect.audit.shortcut import MIN_PER_CLASS, fold_auc, measure


def files(ai: int, human: int, seed: int = 0, **ai_only: object) -> pd.DataFrame:
    """Readable rows whose files differ by chance, except for `ai_only`: columns of the AI pictures."""
    rng = np.random.default_rng(seed)
    n = ai + human
    table = pd.DataFrame(
        {
            "label": ["AI"] * ai + ["human"] * human,
            "generator": ["sd"] * ai + ["human"] * human,
            "width": 256,
            "height": 256,
            "bytes": rng.integers(10_000, 30_000, n),
            "format": "JPEG",
            "mode": "RGB",
            "jpeg_quality": pd.array([75] * n, dtype="Int64"),
            "has_exif": False,
            "group": np.arange(n),
        }
    )
    for name, value in ai_only.items():
        table[name] = table[name].mask(table.label == "AI", value)
    return table


def test_a_revealing_size_is_found_and_named_with_ten_pictures_per_class() -> None:
    measured = measure(files(10, 10, width=768, height=768), 129)
    assert measured["pictures"] == {"AI": 10, "human": 10}
    assert measured["auc"] == {"value": 1.0, "low": pytest.approx(0.7225, abs=1e-4), "high": 1.0}
    assert {row["name"] for row in measured["properties"] if row["auc"]["value"] == 1} >= {"width", "height"}
    assert [(row["generator"], row["pictures"], row["auc"]["value"]) for row in measured["generators"]] == [
        ("sd", 10, 1)
    ]


@pytest.mark.parametrize(
    ("column", "value", "name", "rule"),
    [
        ("width", 768, "width", ""),
        ("format", "PNG", "format", "format is PNG"),
        ("mode", "RGBA", "mode", "mode is RGBA"),
        ("has_exif", True, "EXIF", "with EXIF"),
        ("jpeg_quality", 95, "JPEG quality", "JPEG quality > 85"),
        ("jpeg_quality", None, "JPEG quality", "JPEG quality ≤ 37 or none"),
        ("bytes", 90_000, "bytes", ""),
    ],
)
def test_each_property_can_be_the_shortcut_and_is_described(column: str, value: object, name: str, rule: str) -> None:
    measured = measure(files(40, 40, **{column: value}), 129)
    alone = {row["name"]: row["auc"]["value"] for row in measured["properties"]}
    assert measured["auc"]["value"] == alone[name] == 1
    rules = {row["rule"]: (row["AI"], row["human"]) for row in measured["rules"]}
    assert sorted(rules.values()) == [(0, 40), (40, 0)]
    if name not in ("width", "bytes"):  # these two change bytes per pixel too, which may be chosen instead
        assert rules[rule] == (40, 0)


@pytest.mark.slow
def test_files_that_differ_by_chance_are_at_chance_level() -> None:
    """This includes small sets, a few of which may differ by chance."""
    for pictures, sets in ((15, 40), (150, 12)):
        values = [measure(files(pictures, pictures, seed), 129)["auc"] for seed in range(sets)]
        assert sum(auc["value"] >= 0.6 and auc["low"] > 0.5 for auc in values) <= sets // 10
        assert np.mean([auc["value"] for auc in values]) == pytest.approx(0.5, abs=0.05)


def test_a_weak_shortcut_has_an_interval_around_its_auc() -> None:
    """60 % of the AI files and 40 % of the human ones are PNG: an AUC of 0.6."""
    table = files(1000, 1000).assign(bytes=20_000)
    table.loc[[*range(600), *range(1000, 1400)], "format"] = "PNG"
    auc = measure(table, 129)["auc"]
    assert auc["value"] == pytest.approx(0.6, abs=0.01)
    assert auc["high"] - auc["low"] == pytest.approx(2 * 1.96 * np.sqrt(2 * 0.24 / 1000) / 2, rel=0.1)


def test_copies_of_a_picture_do_not_inflate_the_auc() -> None:
    """Five pictures per class in twenty copies each: the bytes identify the picture, not the class."""
    table = files(100, 100).assign(group=np.arange(200) // 20)
    table["bytes"] = 10_000 + 1_000 * np.random.default_rng(1).permutation(10)[table.group]
    assert measure(table.assign(group=np.arange(200)), 129)["auc"]["value"] > 0.9
    assert measure(table, 129)["auc"]["value"] < 0.75


def test_copies_are_no_evidence() -> None:
    once = files(20, 20)
    copied = pd.concat([once] * 20).sort_values("group").reset_index(drop=True)
    assert measure(copied, 129) == measure(once, 129)


@pytest.mark.parametrize("more", range(8))
def test_pictures_under_both_labels_are_left_out(more: int) -> None:
    disputed = files(5, 5).assign(group=[0, 1, 2, 3, 4] * 2)
    table = pd.concat([disputed, files(0, more).assign(group=np.arange(5, 5 + more))], ignore_index=True)
    assert measure(table, 129)["pictures"] == {"AI": 0, "human": more}
    table = pd.concat([disputed, files(10, 10, width=768).assign(group=np.arange(5, 25))], ignore_index=True)
    assert measure(table, 129)["auc"]["value"] == 1


def test_too_few_pictures_of_a_class_are_not_measured() -> None:
    measured = measure(files(MIN_PER_CLASS - 1, 50, width=768), 129)
    assert (measured["auc"], measured["folds"], measured["properties"], measured["rules"]) == (None, 0, [], [])
    assert measured["pictures"] == {"AI": MIN_PER_CLASS - 1, "human": 50}
    assert measure(files(MIN_PER_CLASS, 50, width=768), 129)["auc"]["value"] == 1
    assert measure(files(50, 50, width=768).assign(group=0), 129)["auc"] is None
    assert measure(files(0, 0), 129)["auc"] is None


def test_identical_file_properties_are_not_measured() -> None:
    measured = measure(files(20, 20).assign(bytes=5000), 129)
    assert (measured["auc"], measured["folds"], measured["properties"]) == (None, 5, [])


def test_each_generator_is_compared_with_human_art_separately() -> None:
    table = files(80, 60)
    table["generator"] = ["sd"] * 40 + ["ld"] * 40 + ["human"] * 60
    table.loc[table.generator == "sd", ["width", "height"]] = 768
    first, second = measure(table, 129)["generators"]
    assert (first["generator"], first["auc"]["value"]) == ("sd", 1.0)
    assert second["generator"] == "ld"
    assert second["auc"]["low"] < 0.5


def test_the_same_files_give_the_same_numbers() -> None:
    assert measure(files(60, 50, width=300), 129) == measure(files(60, 50, width=300), 129)
    assert measure(files(60, 50), 129)["auc"] != measure(files(60, 50), 130)["auc"]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=3), min_size=1, max_size=3)
)
def test_the_auc_is_the_share_of_pairs_within_a_fold_in_which_ai_scores_higher(
    folds: list[list[tuple[int, int]]],
) -> None:
    ai, human = np.moveaxis(np.array(folds), -1, 0)
    wins = [
        (a > h) + (a == h) / 2
        for fold in range(len(folds))
        for a, h in itertools.product(*(np.repeat(np.arange(3), side[fold]) for side in (ai, human)))
    ]
    if wins:
        assert fold_auc(ai, human) == pytest.approx(np.mean(wins))
