"""A map's AUC, pointing game and IoU against a region."""

import numpy as np
import pytest

from artdetect.explain.explanation import Explanation
from artdetect.explain.localisation import metrics
from tests.explain.conftest import SIZE, auc, truth

BEST = {"auc": 1.0, "pointing": 1.0, "iou": 1.0}


def test_the_true_region_gets_full_marks_and_its_opposite_none() -> None:
    region = truth()
    assert metrics.measures(region.astype(float), region) == BEST
    assert metrics.measures(-region.astype(float), region) == {"auc": 0.0, "pointing": 0.0, "iou": 0.0}


def test_a_flat_map_gets_what_chance_gets() -> None:
    region = truth()
    area = region.mean()
    assert metrics.measures(np.ones(region.shape), region) == pytest.approx(metrics.expected_by_chance(area))
    assert metrics.expected_by_chance(area)["auc"] == 0.5


def test_ties_count_half() -> None:
    values = np.random.default_rng(2).integers(0, 4, (SIZE, SIZE))
    assert metrics.auc(values, truth()) == pytest.approx(auc(values.ravel(), truth()))


def test_the_iou_of_half_a_region() -> None:
    region = np.zeros((4, 4), bool)
    region[:2] = True
    values = np.zeros((4, 4))
    values[1:3] = 1  # 4 of its 8 pixels are right: 4 of 12 in the union
    assert metrics.iou(values, region) == pytest.approx(4 / 12)


@pytest.mark.parametrize("region", [np.zeros((4, 4), bool), np.ones((4, 4), bool), np.eye(3, dtype=bool)])
def test_a_region_without_inside_or_outside_or_of_another_size_is_an_error(region: np.ndarray) -> None:
    with pytest.raises(ValueError, match="inside and outside"):
        metrics.auc(np.zeros((4, 4)), region)


def test_noise_in_regions_deals_their_values_out_anew() -> None:
    ranks = np.repeat(np.arange(1, 9), 8).reshape(8, 8).astype(np.int32)
    noise = metrics.uninformed(explanation(1.0 / ranks, ranks), np.random.default_rng(3))
    assert sorted(np.unique(noise)) == pytest.approx(sorted(1 / np.arange(1, 9)))
    assert all(len(np.unique(noise[ranks == rank])) == 1 for rank in range(1, 9))
    assert not np.array_equal(noise, 1 / ranks)


def test_noise_of_a_map_without_regions_has_its_values_and_smoothness_in_other_places() -> None:
    y, x = np.mgrid[:16, :16]
    smooth = np.sin(2 * np.pi * (x + 3 * y / 4) / 16)
    noise = metrics.uninformed(explanation(smooth, None), np.random.default_rng(1))
    assert np.array_equal(np.sort(noise.ravel()), np.sort(smooth.astype(np.float32).ravel()))
    assert not np.array_equal(noise, smooth)
    assert np.abs(np.diff(noise)).mean() == pytest.approx(np.abs(np.diff(smooth)).mean(), rel=0.3)


def explanation(heatmap: np.ndarray, ranks: np.ndarray | None) -> Explanation:
    return Explanation(heatmap.astype(np.float32), ranks, 0, 1.0, None, {})
