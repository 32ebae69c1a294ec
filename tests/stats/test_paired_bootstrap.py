"""Two models on the same pictures: differences and their intervals."""

import numpy as np
import pytest

from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.paired_bootstrap import mean_difference


def test_a_difference_is_resampled_within_each_part() -> None:
    """The interval of a mean of two shares: a small part with all the uncertainty, and a large one with none."""
    small, large = np.array([1.0, 0, 0, 0]), np.zeros(1000)
    interval = mean_difference([small, large], Bootstrap(2000, 1))
    assert interval["value"] == pytest.approx(0.125)
    assert (interval["low"], interval["high"]) == (0, pytest.approx(0.375, abs=0.13))
