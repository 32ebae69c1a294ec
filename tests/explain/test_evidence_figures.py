"""Figures of the base install: one scale for all, legible on a phone, with what stands out of a mixed picture."""

import numpy as np
import pytest
from PIL import Image, ImageFont

from artdetect.explain.evidence_figures import EDGE, LEGIBLE, PHONE, figure

MODEL = "starter-0bc984d9"
GREY = Image.new("RGB", (640, 400), (128, 128, 128))
LONG = "unsure: unlike the training art, and with more words than a line of such a figure can hold, p(AI) 0.512"


def margin(*, highest: float) -> np.ndarray:
    """A map that says 1 on the left and `highest` on the right, in logits."""
    found = np.ones((14, 14), np.float32)
    found[:, 8:] = highest
    return found


def test_the_same_evidence_has_the_same_colour_in_every_figure() -> None:
    weak, strong = (np.asarray(figure(GREY, margin(highest=highest), "AI", MODEL)) for highest in (1.2, 6.0))
    np.testing.assert_array_equal(weak[200, 20], strong[200, 20])
    assert strong[200, 620, 0] > weak[200, 620, 0] > weak[200, 20, 0] > 128  # more orange


@pytest.mark.parametrize("width", [200, 480, 768])
@pytest.mark.parametrize("heading", ["AI, p(AI) 0.993", LONG])
def test_on_a_phone_every_text_is_legible_and_none_is_cut(
    monkeypatch: pytest.MonkeyPatch, width: int, heading: str
) -> None:
    sizes = []
    load = ImageFont.load_default

    def recorded(size: float | None = None) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        sizes.append(size or 0)
        return load(size)

    monkeypatch.setattr(ImageFont, "load_default", recorded)
    drawn = figure(GREY.resize((width, 100)), margin(highest=2), heading, MODEL)
    assert min(sizes) * PHONE / drawn.width >= LEGIBLE
    text = np.asarray(drawn)[100:].astype(int)
    written = np.abs(text - text[-1, -1]).sum(axis=2) > 30
    assert written.any()
    assert not written[:, -EDGE // 2 :].any()
    assert not written[-EDGE // 2 :].any()


def test_what_stands_out_of_a_mixed_picture_has_a_frame() -> None:
    plain, framed = (np.asarray(figure(GREY, margin(highest=2), "mixed", MODEL, box)).astype(int) for box in BOXES)
    changed = np.abs(framed - plain).sum(axis=2) > 0
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (64, 80, 320, 200)
    assert not changed[90:190, 80:310].any()


BOXES = (None, (0.1, 0.2, 0.5, 0.5))
