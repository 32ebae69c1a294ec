"""The size of artworks. `test_explainer` covers their kinds."""

import numpy as np
import pytest

from artdetect.explain.methods.artworks import bounded


@pytest.mark.parametrize(
    ("shape", "bound"), [((3000, 2000), (512, 341)), ((8000, 8), (512, 1)), ((10, 20), (10, 20)), ((1, 1), (1, 1))]
)
def test_artworks_are_bounded_by_their_longer_side(shape, bound):
    assert bounded(np.zeros((*shape, 3), np.uint8), 512).shape == (*bound, 3)
