"""Explanations to draw, and what a drawn figure shows."""

import numpy as np
import pytest
from PIL import Image

from artdetect.explain import figures
from artdetect.explain.explanation import Explanation
from artdetect.explain.figures import Entry, panels
from artdetect.explain.figures.colour_scale import PER
from artdetect.explain.figures.overlay import Style
from artdetect.explain.regions.compact import with_regions

PANEL = figures._PANEL


def explanation(heatmap, ranks=None, target=0, p_ai=None, **config):
    given = Explanation(np.asarray(heatmap, np.float32), ranks, target, 1.0, 0.0, config, p_ai=p_ai)
    return with_regions(given, 1 / 8, smooth=False)


@pytest.fixture
def blocks():
    """Three regions on 8 x 8: the upper left speaks for AI, the right half weakly for human, the rest says nothing."""
    ranks = np.full((8, 8), 3, np.int32)
    ranks[:4, :4], ranks[:, 4:] = 1, 2
    return explanation((np.float32([0, 0.9, -0.4, 0]) / PER)[ranks], ranks, method="xrai")


@pytest.fixture
def artwork():
    rng = np.random.default_rng(3)
    return Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((300, 300), Image.Resampling.NEAREST)


@pytest.fixture
def written(monkeypatch):
    """The texts that a figure shows and their styles, in the order of drawing."""
    texts, write = [], Style.write

    def record(self, draw, x, y, text, align="l"):
        texts.append((text.replace("\N{NO-BREAK SPACE}", " "), self))
        return write(self, draw, x, y, text, align)

    monkeypatch.setattr(Style, "write", record)
    return texts


def read(written):
    """What a figure says, as one text."""
    return " ".join(text for text, _ in written)


def drawn(tmp_path, found, artwork=None, title="AI", **options):
    """The pixels of a figure."""
    side = Image.new("RGB", found.heatmap.shape[::-1], (90, 90, 90))
    panels(Entry(artwork or side, found, title), tmp_path / "a.png", **options)
    with Image.open(tmp_path / "a.png") as image:
        return np.asarray(image)


def found_in(pixels, picture):
    """The (top, left) corners at which `picture` stands in `pixels`."""
    height, width = picture.shape[:2]
    starts = np.argwhere((pixels[: len(pixels) - height + 1, : pixels.shape[1] - width + 1] == picture[0, 0]).all(-1))
    return [(y, x) for y, x in starts if np.array_equal(pixels[y : y + height, x : x + width], picture)]
