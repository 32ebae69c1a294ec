"""Felzenszwalb's segmentation against scikit-image's."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import felzenszwalb as of_skimage

from artdetect.explain.regions.segmentation import felzenszwalb
from tests.explain.synthetic_pictures import mosaic

SCALES = (1, 50, 100, 150, 250, 500, 1200, 1e5)


def assert_same(picture, sigma=0.8, min_size=20):
    found = felzenszwalb(picture, SCALES, sigma, min_size)
    assert found.dtype == np.int32
    for scale, labels in zip(SCALES, found, strict=True):
        np.testing.assert_array_equal(labels, of_skimage(picture, scale, sigma, min_size))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(2, 32),
    st.integers(2, 32),
    st.sampled_from([1, 2, 3, 5, 256]),
    st.sampled_from([1, 2, 7]),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([0.0, 0.8, 2.0]),
    st.sampled_from([0, 1, 5, 150]),
    st.integers(0, 2**32 - 1),
)
def test_labels_are_those_of_scikit_image(height, width, levels, cell, dtype, sigma, min_size, seed):
    assert_same(mosaic((height, width), levels, cell, seed).astype(dtype), sigma, min_size)


@pytest.mark.parametrize("levels", [2, 256])
@pytest.mark.parametrize("size", [64, 128, 256])
def test_labels_are_those_of_scikit_image_for_larger_pictures(size, levels):
    assert_same(mosaic((size, size), levels, 5, seed=size), min_size=150)


@pytest.mark.parametrize("channels", [1, 2])
def test_pictures_of_one_or_two_channels_are_segmented_too(channels):
    assert_same(mosaic((20, 30), 3, 4, seed=1)[..., :channels])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_pictures_of_one_row_or_column_are_segmented_too(shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = felzenszwalb(mosaic(shape, 256, 1, seed=3), (1e-9, 1e9), sigma=0.8, min_size=1)
    assert found.shape == (2, *shape)
    assert found[0].ravel().tolist() == list(range(found[0].size))
    assert not found[1].any()


def test_a_picture_of_one_value_is_one_segment():
    assert not felzenszwalb(np.full((12, 7, 3), 0.3), SCALES, 0.8, 150).any()


def test_costs_at_the_bound_are_compared_in_single_precision_as_in_scikit_image():
    joined = []
    for cost in np.random.default_rng(0).random(60):
        pair = np.array([[[0.0], [cost]]])
        scale = 255 * cost * (1 + 1e-9)
        joined.append(not felzenszwalb(pair, (scale,), 0, 1).any())
        assert joined[-1] == (not of_skimage(pair, scale, 0, 1).any())
    assert 10 < sum(joined) < 50
