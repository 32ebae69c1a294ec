"""Slice discovery, and the groups by size."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from artdetect.evaluate import slice_discovery, subgroups


def tables(pictures: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions that are right 19 times in 20 in every group, and file metadata."""
    rng = np.random.default_rng(seed)
    label = rng.choice(["AI", "human"], pictures)
    table = pd.DataFrame(
        {
            "label": label,
            "predicted": np.where(rng.random(pictures) < 0.95, label, np.where(label == "AI", "human", "AI")),
            "style": rng.choice(["baroque", "cubism", "ukiyo_e"], pictures),
            "generator": np.where(label == "AI", rng.choice(["sd", "ld"], pictures), "human"),
        }
    )
    metadata = pd.DataFrame(
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
    metadata.loc[metadata["format"] == "PNG", "jpeg_quality"] = pd.NA
    return table, metadata


def worse(table: pd.DataFrame, rows: pd.Series, share: float) -> pd.DataFrame:
    """The predictions with more of these rows wrong."""
    wrong = rows & (np.random.default_rng(1).random(len(rows)) < share)
    return table.assign(predicted=table.predicted.where(~wrong, table.label.map({"AI": "human", "human": "AI"})))


def test_where_nothing_is_wrong_with_a_group_none_is_listed() -> None:
    listed = [len(slice_discovery.find(*tables(3000, seed))["slices"]) for seed in range(8)]
    assert sum(number > 0 for number in listed) <= 1


def test_a_bad_value_is_found_and_no_pair_that_only_shares_its_fault() -> None:
    table, metadata = tables(3000)
    result = slice_discovery.find(worse(table, table["style"] == "ukiyo_e", 0.3), metadata)
    (bad,) = result["slices"]
    rows = table["style"] == "ukiyo_e"
    assert (bad["what"], bad["pictures"]) == ("style=ukiyo_e", rows.sum())
    assert bad["accuracy"]["value"] < 0.75 < 0.9 < bad["rest"]
    assert bad["q"] < 1e-6
    assert result["slices_tried"] > 50


def test_a_bad_pair_is_found_beside_what_it_pulls_down() -> None:
    table, metadata = tables(6000)
    pair = (table["style"] == "cubism") & (metadata["format"] == "PNG")
    result = slice_discovery.find(worse(table, pair, 0.6), metadata)["slices"]
    assert result[0]["what"] == "style=cubism, format=PNG"
    assert result[0]["pictures"] == pair.sum()
    assert [row["accuracy"]["value"] for row in result] == sorted(row["accuracy"]["value"] for row in result)


def test_p_values_are_those_of_fishers_exact_test() -> None:
    table, metadata = tables(300)
    right = (table.label == table.predicted).to_numpy()
    for slice in list(slice_discovery._slices(slice_discovery._properties(table, metadata)))[:40]:
        theirs = []
        for larger in slice.within:
            inside, rest = right[slice.rows], right[np.setdiff1d(larger, slice.rows)]
            counts = [[inside.sum(), (~inside).sum()], [rest.sum(), (~rest).sum()]]
            theirs.append(fisher_exact(counts, alternative="less").pvalue)
        assert slice_discovery._p_value(slice, right) == pytest.approx(max(theirs))


def test_each_set_of_pictures_is_tried_once_and_none_is_small_or_all() -> None:
    """PNG and no JPEG quality are the same pictures here, and every picture is RGB."""
    slices = list(slice_discovery._slices(slice_discovery._properties(*tables(400))))
    names = [slice.what for slice in slices]
    assert "format=PNG" in names
    assert not any("JPEG quality=none" in name or "mode" in name for name in names)
    assert len({slice.rows.tobytes() for slice in slices}) == len(slices)
    assert all(slice_discovery.MIN_SLICE <= len(slice.rows) < 400 for slice in slices)


def test_a_handful_of_pictures_has_no_slices() -> None:
    assert slice_discovery.find(*tables(12)) == {"slices": [], "slices_tried": 0}


def test_at_most_ten_are_listed() -> None:
    table, metadata = tables(5000)
    style = pd.Series([f"s{number % 25:02d}" for number in range(5000)])
    table = worse(table.assign(style=style), style < "s14", 0.7)
    assert len(slice_discovery.find(table, metadata)["slices"]) == slice_discovery.MAX_SLICES


def test_sizes_go_by_the_longer_side_and_only_those_there_are_listed_in_their_order() -> None:
    metadata = pd.DataFrame({"width": [256, 100, 513, 3000, 12], "height": [10, 257, 1, 2, 12]})
    sizes = subgroups.size_bin(metadata)
    assert list(sizes) == ["up to 256", "257–512", "513–1024", "over 1024", "up to 256"]
    table = pd.DataFrame({"label": "AI", "predicted": ["AI", "human", "AI", "AI", "human"], "p_ai": 0.5, "size": sizes})
    result = subgroups.accuracy_by(table[[True, True, False, True, True]], "size")
    assert [(row["size"], row["pictures"], row["accuracy"]["value"]) for row in result] == [
        ("up to 256", 2, 0.5),
        ("257–512", 1, 0),
        ("over 1024", 1, 1),
    ]
