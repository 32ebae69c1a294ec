"""An explanation, and its file."""

import numpy as np
import pytest

from artdetect.core.errors import ArtifactError
from artdetect.explain.explanation import Explanation, Region, load, save
from tests.damage import every_bit, flipped_bits


def explanation(heatmap, ranks=None):
    return Explanation(np.asarray(heatmap, np.float32), ranks, 0, 1.0, None, {})


@pytest.fixture
def found():
    rng = np.random.default_rng(2)
    ranks = rng.integers(1, 6, (8, 12)).astype(np.int32)
    config = {"method": "xrai", "steps": 8}
    return Explanation(
        (1 / ranks).astype(np.float32),
        ranks,
        1,
        -2.5,
        0.125,
        config,
        np.ones((4, 6, 3), np.float32),
        p_ai=np.float32([[0.25, np.nan]]),
        regions=(Region(0.25, -1.5, 0.75), Region(0.125, 0.5)),
        region_map=(ranks % 3).astype(np.int8),
    )


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
    assert again.regions == found.regions
    for name in ("p_ai", "region_map"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
        assert getattr(again, name).dtype == getattr(found, name).dtype


def test_what_an_explanation_does_not_have_is_not_there_after_loading(tmp_path):
    save(explanation([[0, 1]]), tmp_path / "map.npz")
    again = load(tmp_path / "map.npz")
    assert again.ranks is again.p_ai is again.region_map is again.completeness_error is None
    assert again.regions == ()


@every_bit
def test_no_flipped_bit_in_a_file_gives_another_explanation(tmp_path, step, record_property):
    """Cached explanations have no other check than the CRCs of the zip archive, whose directory has none."""
    rng = np.random.default_rng(2)
    ranks = rng.integers(1, 4, (3, 4)).astype(np.int32)
    found = Explanation((1 / ranks).astype(np.float32), ranks, 1, -2.5, 0.125, {"steps": 8})
    path = tmp_path / "map.npz"
    save(found, path)
    good = path.read_bytes()
    refused = 0
    for bit, damaged in enumerate(flipped_bits(good, step)):
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
    assert refused > 4 * len(good) / step
    record_property("tries", bit + 1)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut", b"<html>"])
def test_a_file_that_is_not_an_explanation_is_named(tmp_path, content):
    path = tmp_path / "map.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"map\.npz"):
        load(path)
