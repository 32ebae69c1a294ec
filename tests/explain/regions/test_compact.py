"""Compact regions: few, connected, larger than the map can resolve, and where the evidence is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from artdetect.explain.explanation import Explanation
from artdetect.explain.pointing import MOST
from artdetect.explain.regions.compact import find, with_regions


def disks(*centres, shape=(96, 96), radius=14):
    """float [H, W]: disks of the given value around (row, column)."""
    rows, columns = np.indices(shape)
    values = np.zeros(shape, np.float32)
    for row, column, value in centres:
        values[np.hypot(rows - row, columns - column) <= radius] = value
    return values


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 6), st.floats(3, 20))
def test_of_any_map_they_are_at_most_five_connected_and_larger_than_the_resolution(seed, sigma, side):
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.standard_normal((64, 80)), sigma)
    found = find(values, 0.25 * np.abs(values).max(), side)
    assert found.shape == values.shape
    numbers = np.unique(found[found > 0])
    assert numbers.tolist() == list(range(1, len(numbers) + 1))
    assert len(numbers) <= MOST
    for number in numbers:
        inside = found == number
        assert ndimage.label(inside)[1] == 1
        assert inside.sum() >= side**2


def test_regions_of_both_classes_come_by_their_evidence_and_specks_and_threads_are_left_out():
    values = disks((24, 24, 1.0), (24, 70, -0.8), (72, 60, 0.9))
    values[60:63, 0:40] = 1  # a thread
    values[90:94, 90:94] = -1  # a speck
    found = find(values, 0.25, 16)
    assert [found[place] for place in ((24, 24), (72, 60), (24, 70))] == [1, 2, 3]
    assert found[61, 10] == found[92, 92] == 0
    for number, place in ((1, (24, 24)), (2, (72, 60)), (3, (24, 70))):
        disk = disks((*place, 1.0)) > 0
        assert ((found == number) & disk).sum() / ((found == number) | disk).sum() > 0.95


def test_what_is_below_half_of_the_peak_or_says_too_little_is_in_no_region():
    assert find(disks((24, 24, 1.0), (72, 72, 0.45)), 0.25, 16).max() == 1
    assert find(disks((24, 24, 1.0), (72, 72, 0.55)), 0.25, 16).max() == 2
    assert find(disks((24, 24, 0.2)), 0.25, 16).max() == 0
    assert find(np.zeros((9, 9), np.float32), 0.0, 1).max() == 0


def test_a_map_that_says_the_same_everywhere_is_one_region():
    assert (find(np.full((40, 60), -0.7), 0.3, 10) == 1).all()


def explanation(heatmap, target=0, p_ai=None, **config):
    return Explanation(heatmap, None, target, 1.0, None, config, p_ai=p_ai)


@pytest.mark.parametrize("shape", [(96, 96), (512, 350)])
def test_area_value_and_probability_are_those_of_the_places_inside(shape):
    p_ai = np.full((shape[0] // 4, shape[1] // 4), np.nan, np.float32)
    p_ai[:, : p_ai.shape[1] // 2] = 0.9
    heatmap = np.zeros(shape, np.float32)
    heatmap[:, : shape[1] // 2] = -2.0
    found = with_regions(explanation(heatmap, target=1, p_ai=p_ai), 0.2, smooth=False)
    (region,) = found.regions
    assert region.area == (found.region_map == 1).mean() == pytest.approx(0.5, abs=0.03)
    assert region.value == pytest.approx(2.0, abs=0.1)  # for AI, though the map of "human" was explained
    assert region.p_ai == pytest.approx(0.9, abs=0.02)
    assert found.region_map.shape == shape


def test_parts_whose_probability_is_near_one_half_or_unknown_say_nothing():
    strong = disks((48, 48, 5.0))
    for p in (np.nan, 0.6, 0.4):
        p_ai = np.full((12, 12), p, np.float32)
        assert with_regions(explanation(strong, p_ai=p_ai), 0.2, smooth=False).regions == ()
    assert (
        len(with_regions(explanation(strong, p_ai=np.full((12, 12), 0.7, np.float32)), 0.2, smooth=False).regions) == 1
    )


def test_a_map_whose_neighbours_scatter_is_averaged_first():
    values = disks((32, 32, 1.0), radius=22) + np.random.default_rng(1).normal(0, 3, (96, 96)).astype(np.float32)
    smooth = with_regions(explanation(values), 1 / 8, smooth=True)
    assert smooth.region_map[32, 32] == 1
    assert smooth.regions[0].value > 0.5
    rough = with_regions(explanation(values), 1 / 8, smooth=False)
    assert rough.regions == ()


def test_a_map_without_signs_has_regions_where_it_is_large_for_either_class():
    for target in (0, 1):
        (region,) = with_regions(
            explanation(disks((30, 30, 2.0)), target, method="gradcam"), 1 / 8, smooth=False
        ).regions
        assert region.value == pytest.approx(2, abs=0.2)


def test_a_spike_does_not_hide_a_region():
    values = disks((48, 30, 0.6), radius=20)
    values[48, 30] = 9
    found = find(values, 0.25, 16)
    assert found.max() == 1
    assert (found == 1).sum() == pytest.approx((values > 0).sum(), rel=0.05)
