"""The region of a picture of mixed origin."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import label

from artdetect.model import mixed


@pytest.mark.parametrize("share", [0.1, 0.4, 0.5, 0.6, 0.9])
def test_the_region_is_the_largest_piece_that_scipy_finds(share: float) -> None:
    draw = np.random.default_rng(int(100 * share))
    for _ in range(20):
        margin = np.where(draw.random((16, 16)) < share, 1.0, -1.0)
        of_ai = (margin > 0).mean() <= 0.5
        pieces, _ = label(margin > 0 if of_ai else margin < 0)
        largest = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
        found = mixed.region(margin)
        if largest.mean() < mixed.MIN_AREA:
            assert found is None
        else:
            assert found
            np.testing.assert_array_equal(found.ai, largest if of_ai else ~largest)


def test_a_picture_that_says_one_thing_everywhere_has_no_region() -> None:
    assert mixed.region(np.ones((8, 8))) is None


def test_it_needs_the_base_install_only() -> None:
    program = (
        "import sys; sys.modules['scipy'] = None\n"
        "import numpy as np\n"
        "from artdetect.model import mixed\n"
        "margin = np.full((8, 8), -1.0); margin[:3, :3] = 2\n"
        "print(mixed.region(margin).box)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["(0.0,", "0.0,", "0.375,", "0.375)"]
