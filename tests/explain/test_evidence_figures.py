"""Figures of the base install: one scale for all, legible on a phone, with what stands out of a mixed picture."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from artdetect.explain import evidence_figures, evidence_map
from artdetect.explain.evidence_figures import EDGE, LEGIBLE, PHONE, figure
from artdetect.explain.explanation import Explanation
from artdetect.explain.figures.caption import caption
from artdetect.model.evidence import Evidence
from artdetect.model.predict import Verdict
from artdetect.pictures.labels import CLASSES
from tests import PROJECT

MODEL = "starter-0bc984d9"
GREY = Image.new("RGB", (640, 400), (128, 128, 128))
LONG = "unsure: unlike the training art, and with more words than a line of such a figure can hold, p(AI) 0.512"


def explained(margin: Any, *, calibrated: bool = False, predicted: str = "AI") -> Explanation:
    """What evidence of these margins [14, 14] says; p(AI) is their logistic function, if parts are calibrated."""
    margins = np.broadcast_to(np.float32(margin), (14, 14))[None]
    p_ai = 1 / (1 + np.exp(-margins)) if calibrated else np.full_like(margins, np.nan)
    found = Evidence(margins, p_ai, None, {64: margins[:, :11, :11], 96: margins[:, :9, :9]}, 16)
    verdict = Verdict("a.jpg", "unsure", "near the threshold", 0.6, MODEL, None, predicted)
    return evidence_map.explained(found, verdict)


def halves(*, highest: float, calibrated: bool = False) -> Explanation:
    """A map that says 1 on the left and `highest` on the right, in logits."""
    found = np.ones((14, 14), np.float32)
    found[:, 8:] = highest
    return explained(found, calibrated=calibrated)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that a figure shows, in the order of drawing."""
    texts: list[str] = []
    write = ImageDraw.ImageDraw.text

    def record(self: ImageDraw.ImageDraw, place: Any, text: str, *others: Any) -> None:
        texts.append(text)
        write(self, place, text, *others)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    return texts


def test_the_same_evidence_has_the_same_colour_in_every_figure() -> None:
    weak, strong = (np.asarray(figure(GREY, halves(highest=highest), "AI", MODEL)) for highest in (1.2, 6.0))
    np.testing.assert_array_equal(weak[200, 20], strong[200, 20])
    assert strong[200, 620, 0] > weak[200, 620, 0] > weak[200, 20, 0] > 128  # more orange


@pytest.mark.parametrize("width", [200, 480, 768])
@pytest.mark.parametrize("heading", ["AI, p(AI) 0.993", LONG])
@pytest.mark.parametrize("calibrated", [True, False])
def test_on_a_phone_every_text_is_legible_and_none_is_cut(
    monkeypatch: pytest.MonkeyPatch, width: int, heading: str, calibrated: bool
) -> None:
    sizes = []
    load = ImageFont.load_default

    def recorded(size: float | None = None) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        sizes.append(size or 0)
        return load(size)

    monkeypatch.setattr(ImageFont, "load_default", recorded)
    found = halves(highest=-2, calibrated=calibrated)
    drawn = figure(GREY.resize((width, 100)), found, heading, MODEL, name="a long name " * 20 + ".jpg")
    assert min(sizes) * PHONE / drawn.width >= LEGIBLE
    text = np.asarray(drawn)[100:].astype(int)
    written = np.abs(text - text[-1, -1]).sum(axis=2) > 30
    assert written.any()
    assert not written[:, -EDGE // 2 :].any()
    assert not written[-EDGE // 2 :].any()


def test_what_stands_out_of_a_mixed_picture_has_a_frame() -> None:
    plain, framed = (np.asarray(figure(GREY, halves(highest=2), "mixed", MODEL, box=box)).astype(int) for box in BOXES)
    changed = np.abs(framed - plain).sum(axis=2) > 0
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (64, 80, 320, 200)
    assert not changed[90:190, 80:310].any()


def test_name_verdict_sentence_and_colours_are_written(written: list[str]) -> None:
    margin = np.zeros((14, 14), np.float32)
    margin[:5, :5] = 3
    figure(GREY, explained(margin, calibrated=True), "AI, p(AI) 0.993", MODEL, name="dawn.jpg")
    assert written[:2] == ["dawn.jpg", "AI, p(AI) 0.993"]
    said = " ".join(written)
    assert "The upper left speaks for AI; the rest says nothing." in said
    assert "orange speaks for AI purple speaks for human no colour says nothing" in said
    assert written[-1] == MODEL


def test_what_is_not_calibrated_speaks_for_nothing(written: list[str]) -> None:
    margin = np.zeros((14, 14), np.float32)
    margin[:5, :5] = 3
    figure(GREY, explained(margin), "AI, p(AI) 0.993", MODEL, name="dawn.jpg")
    said = " ".join(written)
    assert "Not calibrated: the map shows where the model leans; what single parts say is not known." in said
    assert "The upper left leans to AI; the rest hardly leans." in said
    assert not re.search("speak|nothing", said)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_says_nothing_has_no_colour_and_what_speaks_has_one(sign: int) -> None:
    below, above = (np.log(p / (1 - p)) for p in (0.64, 0.66))
    for margin, coloured in ((below, False), (above, True)):
        found = explained(sign * margin, calibrated=True)
        drawn = np.asarray(figure(GREY, found, "AI", MODEL))[: GREY.height].astype(int)
        assert (np.ptp(drawn, axis=-1) > 20).all() == coloured
        assert (np.ptp(drawn, axis=-1) > 0).any() == coloured
        assert (evidence_figures.levels(found) != 0).all() == coloured
        assert ("says anything" in caption(found)) != coloured


def test_beside_what_leans_to_one_class_there_is_no_colour_of_the_other() -> None:
    margin = np.zeros((14, 14), np.float32)
    margin[:5, :5] = 3
    drawn = np.asarray(figure(GREY, explained(margin), "AI", MODEL))[: GREY.height].astype(int)
    assert (drawn[..., 2] <= drawn[..., 0]).all()  # purple has more blue than red


def test_regions_are_connected_at_most_five_and_no_smaller_than_the_smallest_windows() -> None:
    margin = np.zeros((14, 14), np.float32)
    margin[:4, :4] = margin[10:, 10:] = 3  # as large as the smallest windows, which have 4 x 4 places
    margin[0:3, 10:] = -3  # smaller
    found = explained(margin, calibrated=True)
    assert found.region_map is not None
    assert [region.area for region in found.regions] == [16 / 196] * 2
    np.testing.assert_array_equal(found.region_map > 0, margin > 0)
    assert found.region_map[0, 0] != found.region_map[13, 13]
    assert caption(found) == "The upper left and the lower right speak for AI; the rest says little."


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_heatmap_is_for_the_likelier_class_and_the_figure_is_the_same_for_both(calibrated: bool) -> None:
    margin = np.zeros((14, 14), np.float32)
    margin[:5, :5], margin[9:, 9:] = 3, -2
    ai, human = (explained(margin, calibrated=calibrated, predicted=name) for name in CLASSES)
    np.testing.assert_array_equal(ai.heatmap, margin)
    np.testing.assert_array_equal(human.heatmap, -margin)
    assert (ai.target, human.target) == (0, 1)
    assert ai.score == -human.score == pytest.approx(np.log(0.6 / 0.4))
    assert ai.regions == human.regions
    drawn = [np.asarray(figure(GREY, found, "unsure", MODEL)) for found in (ai, human)]
    np.testing.assert_array_equal(*drawn)


def test_the_sentence_needs_nothing_that_the_base_install_lacks() -> None:
    program = (
        "import sys\n"
        "for name in ('scipy', 'matplotlib', 'pandas', 'numba', 'skimage', 'tensorflow'): sys.modules[name] = None\n"
        "from tests.explain.test_evidence_figures import GREY, figure, halves\n"
        "figure(GREY, halves(highest=-2, calibrated=True), 'AI', 'm', name='a.jpg', box=(0, 0, 0.5, 0.5))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(PROJECT))


BOXES = (None, (0.1, 0.2, 0.5, 0.5))
