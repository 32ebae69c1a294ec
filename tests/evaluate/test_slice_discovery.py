"""The slice finder, and the groups by size."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from artdetect.evaluate import slice_discovery, subgroups


def made(pictures: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions that are right 19 times in 20, wherever, and file facts."""
    rng = np.random.default_rng(seed)
    label = rng.choice(["AI", "human"], pictures)
    table = pd.DataFrame(
        {
            "label": label,
            "called": np.where(rng.random(pictures) < 0.95, label, np.where(label == "AI", "human", "AI")),
            "style": rng.choice(["baroque", "cubism", "ukiyo_e"], pictures),
            "generator": np.where(label == "AI", rng.choice(["sd", "ld"], pictures), "human"),
        }
    )
    facts = pd.DataFrame(
        {
            "width": rng.choice([200, 256, 257, 2000], pictures),
            "height": 100,
            "format": rng.choice(["JPEG", "PNG"], pictures),
            "mode": "RGB",
            "jpeg_quality": pd.Series(rng.choice([40, 75, 76, 100], pictures), dtype="Int64"),
            "has_exif": rng.random(pictures) < 0.3,
            "contrast": rng.random(pictures) * 60,
        }
    )
    facts.loc[facts["format"] == "PNG", "jpeg_quality"] = pd.NA
    return table, facts


def worse(table: pd.DataFrame, rows: pd.Series, share: float) -> pd.DataFrame:
    """More calls wrong among these rows."""
    wrong = rows & (np.random.default_rng(1).random(len(rows)) < share)
    return table.assign(called=table.called.where(~wrong, table.label.map({"AI": "human", "human": "AI"})))


def test_where_nothing_is_wrong_with_a_group_none_is_listed() -> None:
    listed = [len(slice_discovery.find(*made(3000, seed))["slices"]) for seed in range(8)]
    assert sum(number > 0 for number in listed) <= 1


def test_a_bad_value_is_found_and_no_pair_that_only_shares_its_fault() -> None:
    table, facts = made(3000)
    found = slice_discovery.find(worse(table, table["style"] == "ukiyo_e", 0.3), facts)
    (bad,) = found["slices"]
    rows = table["style"] == "ukiyo_e"
    assert (bad["what"], bad["pictures"]) == ("style=ukiyo_e", rows.sum())
    assert bad["accuracy"]["value"] < 0.75 < 0.9 < bad["rest"]
    assert bad["q"] < 1e-6
    assert found["slices_tried"] > 50


def test_a_bad_pair_is_found_beside_what_it_pulls_down() -> None:
    table, facts = made(6000)
    pair = (table["style"] == "cubism") & (facts["format"] == "PNG")
    found = slice_discovery.find(worse(table, pair, 0.6), facts)["slices"]
    assert found[0]["what"] == "style=cubism, format=PNG"
    assert found[0]["pictures"] == pair.sum()
    assert [row["accuracy"]["value"] for row in found] == sorted(row["accuracy"]["value"] for row in found)


def test_p_values_are_those_of_fishers_exact_test() -> None:
    table, facts = made(300)
    right = (table.label == table.called).to_numpy()
    for slice in list(slice_discovery._slices(slice_discovery._properties(table, facts)))[:40]:
        theirs = []
        for larger in slice.within:
            inside, rest = right[slice.rows], right[np.setdiff1d(larger, slice.rows)]
            counts = [[inside.sum(), (~inside).sum()], [rest.sum(), (~rest).sum()]]
            theirs.append(fisher_exact(counts, alternative="less").pvalue)
        assert slice_discovery._p_value(slice, right) == pytest.approx(max(theirs))


def test_each_set_of_pictures_is_tried_once_and_none_is_small_or_all() -> None:
    """PNG and no JPEG quality are the same pictures here, and every picture is RGB."""
    tried = list(slice_discovery._slices(slice_discovery._properties(*made(400))))
    names = [slice.what for slice in tried]
    assert "format=PNG" in names
    assert not any("JPEG quality=none" in name or "mode" in name for name in names)
    assert len({slice.rows.tobytes() for slice in tried}) == len(tried)
    assert all(slice_discovery.MIN_SLICE <= len(slice.rows) < 400 for slice in tried)


def test_a_handful_of_pictures_has_no_slices() -> None:
    assert slice_discovery.find(*made(12)) == {"slices": [], "slices_tried": 0}


def test_at_most_ten_are_listed() -> None:
    table, facts = made(5000)
    style = pd.Series([f"s{number % 25:02d}" for number in range(5000)])
    table = worse(table.assign(style=style), style < "s14", 0.7)
    assert len(slice_discovery.find(table, facts)["slices"]) == slice_discovery.MAX_SLICES


def test_sizes_go_by_the_longer_side_and_only_those_there_are_listed_in_their_order() -> None:
    facts = pd.DataFrame({"width": [256, 100, 513, 3000, 12], "height": [10, 257, 1, 2, 12]})
    sizes = subgroups.size_bin(facts)
    assert list(sizes) == ["up to 256", "257–512", "513–1024", "over 1024", "up to 256"]
    table = pd.DataFrame({"label": "AI", "called": ["AI", "human", "AI", "AI", "human"], "p_ai": 0.5, "size": sizes})
    found = subgroups.accuracy_by(table[[True, True, False, True, True]], "size")
    assert [(row["size"], row["pictures"], row["accuracy"]["value"]) for row in found] == [
        ("up to 256", 2, 0.5),
        ("257–512", 1, 0),
        ("over 1024", 1, 1),
    ]
