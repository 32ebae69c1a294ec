"""The file of an explanation."""

import numpy as np
import pytest

from artdetect.errors import ArtifactError
from artdetect.explain.arrays import Explanation, load, save


@pytest.fixture
def found():
    rng = np.random.default_rng(2)
    ranks = rng.integers(1, 6, (8, 8)).astype(np.int32)
    return Explanation((1 / ranks).astype(np.float32), ranks, 1, {"method": "xrai", "steps": 8})


def test_a_saved_explanation_is_the_same_again_and_its_bytes_do_not_know_the_time(found, tmp_path, monkeypatch):
    save(found, tmp_path / "one")
    monkeypatch.setattr("time.time", lambda: 2e9)
    save(load(tmp_path / "one"), tmp_path / "two.npz")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = load(tmp_path / "two.npz")
    np.testing.assert_array_equal(again.attributions, found.attributions)
    np.testing.assert_array_equal(again.ranks, found.ranks)
    assert (again.target, again.settings) == (found.target, found.settings)
    save(Explanation(found.attributions, None, 0, {}), tmp_path / "three.npz")
    assert load(tmp_path / "three.npz").ranks is None


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut", b"<html>"])
def test_a_file_that_is_not_an_explanation_is_named(tmp_path, content):
    path = tmp_path / "map.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"map\.npz"):
        load(path)
