"""Regions against those of the saliency package."""

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency.core.xrai import _get_segments_felzenszwalb
from skimage.morphology import dilation, disk

from artdetect.explain import regions
from tests.explain.synthetic_pictures import masks_of, mosaic


def assert_as_saliency(picture, radius=5):
    expected = _get_segments_felzenszwalb(picture, dilation_rad=radius)
    found = regions.as_saliency(picture, radius)
    np.testing.assert_array_equal(masks_of(found), expected)
    assert len(found.pixels) == np.sum(expected)  # each pixel once


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    st.sampled_from([(32, 32), (33, 21), (64, 64)]),
    st.sampled_from([2, 3, 256]),
    st.integers(1, 16),
    st.sampled_from([0, 2, 5]),
    st.integers(0, 2**32 - 1),
)
def test_regions_are_the_masks_of_the_saliency_package_in_its_order(shape, levels, cell, radius, seed):
    picture = mosaic(shape, levels, cell, seed)
    if picture.min() < picture.max():
        assert_as_saliency(picture, radius)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "levels", "cell"), [(128, 3, 40), (224, 2, 90), (256, 256, 70)])
def test_regions_are_those_of_the_saliency_package_for_larger_pictures(size, levels, cell):
    assert_as_saliency(mosaic((size, size), levels, cell, seed=size))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 5), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_segments_grow_by_a_disk_and_labels_without_pixels_are_empty_regions(height, width, labels, radius, seed):
    maps = np.random.default_rng(seed).integers(0, labels, (2, height, width)) * 2 - 3
    found = regions.from_labels(maps, radius)
    expected = [one == label for one in maps for label in range(one.min(), one.max() + 1)]
    if radius:
        expected = [dilation(mask, disk(radius)) for mask in expected]
    np.testing.assert_array_equal(masks_of(found), expected)
    assert len(found.pixels) == np.sum(expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint64])
def test_labels_may_use_the_whole_range_of_their_type(dtype):
    low = max(np.iinfo(dtype).min, -128)
    labels = (np.arange(256).reshape(1, 16, 16) + low).astype(dtype)
    found = regions.from_labels(labels, 0)
    assert len(found) == 256
    assert [found.pixels_of(number).tolist() for number in range(256)] == [[pixel] for pixel in range(256)]


def test_a_picture_of_one_label_is_one_region_whatever_the_radius():
    for radius in (0, 40):
        assert masks_of(regions.from_labels(np.full((1, 3, 5), 7), radius)).all()


def test_a_picture_of_the_size_they_are_meant_for_has_the_regions_of_the_saliency_package():
    picture = mosaic((224, 224), 256, 32, seed=4)
    found, expected = regions.from_picture(picture, 5), regions.as_saliency(picture, 5)
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("size", [56, 112, 448])
def test_dilation_is_counted_in_pixels_of_224(size):
    halves = np.zeros((size, size, 3), np.float32)
    halves[:, size // 2 :] = 1
    widths = [masks_of(regions.from_picture(halves, dilation))[0].any(axis=0).sum() for dilation in (0, 16)]
    assert widths[1] - widths[0] == 16 * size // 224


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (512, 1), (31, 57)])
def test_pictures_of_every_shape_are_covered_by_their_regions(shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = regions.from_picture(mosaic(shape, 256, 3, seed=5), dilation=2)
    assert found.shape == shape
    assert np.bincount(found.pixels, minlength=shape[0] * shape[1]).min() >= len(regions.SCALES)


def test_a_constant_picture_has_one_region_for_each_scale():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = regions.from_picture(np.full((30, 40, 3), 0.7, np.float32), 2)
        same = regions.as_saliency(np.full((30, 40, 3), 0.7, np.float32), 5)
    assert masks_of(found).all()
    assert masks_of(same).all()
    assert len(found) == len(same) == len(regions.SCALES)


def test_regions_take_less_memory_than_masks():
    picture = mosaic((128, 128), 256, 8, seed=6)
    regions.as_saliency(picture, 5)
    tracemalloc.start()
    found = regions.as_saliency(picture, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(found) * 128 * 128 * 3
