"""An explanation, and its file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from artdetect.core.errors import ArtifactError
from artdetect.explain.explanation import Explanation, load, save
from tests.damage import flipped_bits


def explanation(heatmap, ranks=None):
    return Explanation(np.asarray(heatmap, np.float32), ranks, 0, 1.0, None, {})


@pytest.fixture
def found():
    rng = np.random.default_rng(2)
    ranks = rng.integers(1, 6, (8, 12)).astype(np.int32)
    config = {"method": "xrai", "steps": 8}
    return Explanation((1 / ranks).astype(np.float32), ranks, 1, -2.5, 0.125, config, np.ones((4, 6, 3), np.float32))


def test_top_regions_are_whole_and_cover_at_least_the_fraction():
    ranks = np.full((8, 8), 4, np.int32)
    ranks[:4, :2], ranks[:4, 2:6], ranks[:4, 6:] = 1, 2, 3  # 1/8, 1/4, 1/8, and the half below
    blocks = explanation(-ranks, ranks)
    assert [blocks.top_mask(fraction).mean() for fraction in (0.1, 0.125, 1)] == [0.125, 0.125, 1]
    assert blocks.top_mask().mean() == 0.375
    for fraction in (0, 1.01, float("nan")):
        with pytest.raises(ValueError, match="fraction"):
            blocks.top_mask(fraction)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(1, 5)), st.floats(0.01, 1)
)
def test_top_regions_of_any_map_are_as_few_as_will_do(ranks, fraction):
    mask = explanation(-ranks, ranks).top_mask(fraction)
    assert mask.mean() >= fraction - 1e-9
    assert all(len(np.unique(mask[ranks == rank])) == 1 for rank in np.unique(ranks))
    assert (mask & (ranks != ranks[mask].max())).mean() < fraction
    np.testing.assert_array_equal(mask, explanation(-ranks).top_mask(fraction))


def test_regions_of_a_map_without_ranks_are_its_levels():
    np.testing.assert_array_equal(explanation([[3, 1], [2, 3]]).regions(), [[1, 3], [2, 1]])


def test_a_saved_explanation_is_the_same_again_and_its_bytes_do_not_know_the_time(found, tmp_path, monkeypatch):
    save(found, tmp_path / "one")
    monkeypatch.setattr("time.time", lambda: 2e9)
    save(load(tmp_path / "one"), tmp_path / "two.npz")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = load(tmp_path / "two.npz")
    np.testing.assert_array_equal(again.heatmap, found.heatmap)
    np.testing.assert_array_equal(again.ranks, found.ranks)
    assert (again.heatmap.dtype, again.ranks.dtype) == (np.float32, np.int32)
    assert (again.target, again.score, again.completeness_error) == (1, -2.5, 0.125)
    assert (again.config, again.attributions) == (found.config, None)


def test_what_an_explanation_does_not_have_is_not_there_after_loading(tmp_path):
    save(explanation([[0, 1]]), tmp_path / "map.npz")
    again = load(tmp_path / "map.npz")
    assert again.ranks is again.completeness_error is None


def test_no_flipped_bit_in_a_file_gives_another_explanation(tmp_path):
    """Cached explanations have no other check than the CRCs of the zip archive, whose directory has none."""
    rng = np.random.default_rng(2)
    ranks = rng.integers(1, 4, (3, 4)).astype(np.int32)
    found = Explanation((1 / ranks).astype(np.float32), ranks, 1, -2.5, 0.125, {"steps": 8})
    path = tmp_path / "map.npz"
    save(found, path)
    good = path.read_bytes()
    refused = 0
    for bit, damaged in enumerate(flipped_bits(good)):
        path.write_bytes(damaged)
        try:
            again = load(path)
        except ArtifactError:
            refused += 1
            continue
        assert again.ranks is not None, bit
        np.testing.assert_array_equal(again.ranks, found.ranks)
        np.testing.assert_array_equal(again.heatmap, found.heatmap)
        assert (again.target, again.score, again.completeness_error, again.config) == (1, -2.5, 0.125, found.config)
    assert refused > 4 * len(good)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut", b"<html>"])
def test_a_file_that_is_not_an_explanation_is_named(tmp_path, content):
    path = tmp_path / "map.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"map\.npz"):
        load(path)
