"""The ranking of regions against the saliency package's, bit for bit."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency.core import XRAI

from artdetect.explain.regions import ranking
from tests.explain.synthetic_pictures import random_rectangles, regions_from_masks

PACKAGE = {"full": XRAI._xrai, "fast": XRAI._xrai_fast}
KINDS = {
    "smooth": lambda rng, shape: rng.normal(size=shape),
    "few values": lambda rng, shape: rng.integers(-1, 2, shape),
    "near ties": lambda rng, shape: rng.choice([1e-6, 1, 1 + 1e-6], shape),
    "a plateau": lambda rng, shape: np.where(np.arange(shape[1]) < shape[1] // 2, 0.1, rng.normal(size=shape)),
    "huge and tiny": lambda rng, shape: rng.choice([-1e20, 1e-20, 3.0], shape),
    "nothing": lambda rng, shape: np.zeros(shape),
}


def assert_same(attributions, masks, algorithm, min_region):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package takes the mean of no pixels
        expected, expected_ranks = PACKAGE[algorithm](attributions, masks, min_pixel_diff=min_region)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        heatmap, ranks = ranking.rank(attributions, regions_from_masks(masks), algorithm, min_region)
    assert (heatmap.dtype, ranks.dtype) == (attributions.dtype, np.int32)
    np.testing.assert_array_equal(heatmap, expected.astype(attributions.dtype))
    np.testing.assert_array_equal(ranks, expected_ranks)


@pytest.mark.parametrize("algorithm", ["full", "fast"])
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.sampled_from([(1, 1), (5, 9), (32, 32), (64, 64)]),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([np.float32, np.float64]),
    st.integers(1, 30),
    st.sampled_from([1, 2, 10, 50]),
    st.integers(0, 2**32 - 1),
)
def test_heatmap_and_ranks_are_those_of_the_saliency_package(algorithm, shape, kind, dtype, count, min_region, seed):
    attributions = KINDS[kind](np.random.default_rng(seed), shape).astype(dtype)
    assert_same(attributions, random_rectangles(shape, count, seed), algorithm, min_region)


@pytest.mark.parametrize("algorithm", ["full", "fast"])
@pytest.mark.parametrize("kind", ["smooth", "few values"])
@pytest.mark.parametrize("size", [128, 256])
def test_they_are_those_of_the_saliency_package_for_larger_pictures(size, kind, algorithm):
    attributions = KINDS[kind](np.random.default_rng(size), (size, size)).astype(np.float32)
    assert_same(attributions, random_rectangles((size, size), 60, seed=size), algorithm, 50)


@pytest.mark.parametrize("algorithm", ["full", "fast"])
def test_pixels_without_a_region_share_the_last_rank_and_their_mean(algorithm):
    values = np.arange(6, dtype=np.float32).reshape(1, 6)
    covered = np.array([[False, True, False, False, True, False]])
    heatmap, ranks = ranking.rank(values, regions_from_masks([covered]), algorithm, 1)
    assert heatmap.tolist() == [[2.5] * 6]
    assert ranks.tolist() == [[2, 1, 2, 2, 1, 2]]


@pytest.mark.parametrize("algorithm", ["full", "fast"])
def test_a_region_that_adds_too_few_pixels_is_left_out(algorithm):
    values = np.float32([[3, 3, 3, 1, 1]])
    regions = regions_from_masks([values > 2, values < 2])
    heatmap, ranks = ranking.rank(values, regions, algorithm, min_region=2)
    assert (heatmap.tolist(), ranks.tolist()) == (values.tolist(), [[1, 1, 1, 2, 2]])
    heatmap, ranks = ranking.rank(np.where(values > 2, values, 4), regions, algorithm, min_region=3)
    assert (heatmap.tolist(), ranks.tolist()) == ([[3, 3, 3, 4, 4]], [[1, 1, 1, 2, 2]])


@pytest.mark.parametrize("algorithm", ["full", "fast"])
def test_without_a_region_that_counts_the_picture_is_one(algorithm):
    heatmap, ranks = ranking.rank(np.float32([[1, 2]]), regions_from_masks([np.zeros((1, 2), bool)]), algorithm, 1)
    assert (heatmap.tolist(), ranks.tolist()) == ([[1.5, 1.5]], [[1, 1]])
