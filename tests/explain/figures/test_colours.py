"""Colours and their scale: nothing overstated."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from artdetect.explain import figures
from artdetect.explain.figures import Entry, common_reach, panels
from artdetect.explain.figures.colour_scale import PER, ColourScale
from artdetect.explain.figures.overlay import heat, outline, spotlight
from artdetect.pictures.palette import FOR_AI, FOR_HUMAN

from .conftest import PANEL, drawn, explanation, read


def test_zero_has_no_colour_and_equal_evidence_for_both_classes_is_equally_strong():
    picture = np.random.default_rng(1).integers(0, 256, (16, 64, 3), np.uint8)
    shown = heat(picture, np.zeros((16, 64))).astype(int)
    assert (np.ptp(shown, axis=-1) == 0).all()  # grey
    grey = np.asarray(Image.fromarray(picture).convert("L")).astype(int)
    assert np.corrcoef(shown[..., 0].ravel(), grey.ravel())[0, 1] > 0.99  # the picture shows through
    plain = np.full((1, 1, 3), 128, np.uint8)
    for level in (0.25, 0.5, 1):
        moved = []
        for sign, colour in ((1, FOR_AI), (-1, FOR_HUMAN)):
            tint = heat(plain, np.full((1, 1), sign * level)).astype(float)[0, 0]
            zero = heat(plain, np.zeros((1, 1))).astype(float)[0, 0]
            direction = np.array(colour) - zero
            moved.append(np.dot(tint - zero, direction) / np.dot(direction, direction))
        assert moved[0] == pytest.approx(moved[1], abs=0.01)
        assert 0 < moved[0] < 0.85


def test_the_picture_shows_through_the_strongest_colour():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 255  # what is left of their contrast is the transparency
    level = np.broadcast_to(np.linspace(-1, 1, 65), (64, 65))
    shown = heat(np.pad(stripes, ((0, 0), (0, 1), (0, 0)), mode="edge"), level).astype(int)
    contrast = np.abs(shown[31] - shown[30]).sum(-1)
    assert (np.diff(contrast[32:]) <= 3).all()
    assert contrast[[0, -1]].min() > 30
    np.testing.assert_allclose(contrast, contrast[::-1], atol=4)


def test_the_same_value_has_the_same_colour_in_all_pictures_of_a_batch(blocks):
    weak = replace(blocks, heatmap=blocks.heatmap / 10)
    reach = common_reach(iter([weak, blocks]))
    assert reach == pytest.approx(0.9 / PER)
    plain = np.full((8, 8, 3), 90, np.uint8)

    def heated(found, scale):
        return ColourScale.make(found, scale).heat(plain, found.heatmap)

    np.testing.assert_array_equal(heated(blocks, None), heated(blocks, reach))
    np.testing.assert_array_equal(heated(blocks, None), heated(weak, None))
    tenth = ColourScale.make(weak, reach)
    np.testing.assert_array_equal(tenth.heat(plain, blocks.heatmap), heated(blocks, reach))
    assert np.ptp(heated(weak, reach).astype(int), axis=-1).max() < 0.35 * np.ptp(heated(blocks, reach), axis=-1).max()


def test_the_map_of_the_other_class_looks_the_same_since_colours_belong_to_classes(tmp_path, blocks):
    other = explanation(-blocks.heatmap, blocks.ranks, target=1, method="xrai")
    np.testing.assert_array_equal(drawn(tmp_path, blocks), drawn(tmp_path, other))


def test_probabilities_have_one_scale_for_every_picture_and_what_says_nothing_has_no_colour(tmp_path, written):
    p_ai = np.full((8, 8), np.nan, np.float32)
    p_ai[:, :4] = 0.9
    found = explanation(np.ones((8, 8)), p_ai=p_ai)
    assert common_reach([found]) == 1
    assert [region.p_ai for region in found.regions] == [pytest.approx(0.9, abs=0.02)]
    shown = figures._Panels.make(Entry(Image.new("RGB", (8, 8), (90, 90, 90)), found, ""), PANEL, None)
    assert np.ptp(shown.heat[:, -PANEL // 3 :].astype(int), axis=-1).max() == 0
    drawn(tmp_path, found)
    texts = {text for text, _ in written}
    assert {"speaks for human", "says nothing", "speaks for AI", "p(AI) 0%", "50%", "100%"} <= texts
    assert "p(AI) 90%" in texts
    assert "50% of the picture" in texts


def test_a_map_of_another_method_or_score_does_not_speak_of_log_odds_or_classes(tmp_path, artwork, written):
    ramp = explanation(np.repeat([0, 2], 32).reshape(8, 8), method="gradcam")
    pixels = drawn(tmp_path, ramp, artwork)
    texts = {text for text, _ in written}
    assert {"does not matter", "matters most", "0", "2", "without a unit", "Grad-CAM: where it matters"} <= texts
    assert "The lower part matters most for the verdict; the rest matters" in texts
    colourful = pixels[np.ptp(pixels.astype(int), axis=-1) > 60]
    assert not (np.abs(colourful - np.array(FOR_AI)).sum(-1) < 30).any()
    written.clear()
    drawn(tmp_path, replace(ramp, config={"target": "probability"}))
    assert "probability per 1,000 pixels" in {text for text, _ in written}


def test_a_part_has_a_colour_from_the_probability_on_at_which_it_speaks(written, tmp_path):
    p_ai = np.float32([[0.36, 0.64, 0.66, 0.34]]).repeat(2, 0)
    found = explanation(np.zeros((2, 4)), p_ai=p_ai, method="evidence")
    level = ColourScale.make(found, None).level(2 * p_ai - 1)
    np.testing.assert_allclose(level[0], [0, 0, 0.32, -0.32], atol=1e-6)
    drawn(tmp_path, found)
    assert "35% to 65% says nothing" in read(written)


def test_parts_that_are_not_calibrated_are_not_said_to_speak(written, tmp_path):
    drawn(tmp_path, explanation(2 * np.eye(8).repeat(4, 0).repeat(4, 1)[:16, :16] - 0.1, method="evidence"))
    said = read(written)
    assert {"leans to human", "leans to AI", "−4", "4"} <= {text for text, _ in written}
    assert "not calibrated" in said
    assert "speak" not in said


def ends(found, scale=None):
    return ColourScale.make(found, scale).span.replace("\N{NO-BREAK SPACE}", " ")


def test_a_clipped_range_says_so():
    values = np.zeros(10_000, np.float32)
    values[:100] = 0.25 / PER
    values[-2:] = [7, -3]
    assert ends(explanation(values.reshape(100, 100))) == "≤ −0.25 … ≥ 0.25"


@pytest.mark.parametrize(
    ("reach", "printed"), [(1234.5, "−1,234 … 1,234"), (1.2e-9, "−1.2e−9 … 1.2e−9"), (0.0123, "−0.012 … 0.012")]
)
def test_numbers_are_short(reach, printed):
    assert ends(explanation(np.float64([[-reach, reach]] * 8) / PER), reach / PER).replace("≥ ", "") == printed


def test_one_small_region_on_a_plain_map_is_not_lost_to_the_percentiles():
    values = np.zeros((100, 100), np.float32)
    values[0, 0] = 2 / PER
    assert ends(explanation(values)) == "−2 … 2"


def test_a_map_of_zeros_has_no_colour_and_no_regions(tmp_path, artwork, written):
    flat = explanation(np.zeros((8, 8)), np.ones((8, 8), np.int32))
    for scale in (None, common_reach([flat, flat]), 0.5):
        shown = figures._Panels.make(Entry(artwork, flat, ""), PANEL, scale)
        assert (np.ptp(shown.heat.astype(int), axis=-1) == 0).all()
        drawn(tmp_path, flat, artwork, scale=scale)
    assert "No part stands out." in read(written)


@pytest.mark.parametrize("scale", [-1, 0, np.nan, np.inf])
def test_a_scale_that_is_no_range_is_refused(tmp_path, blocks, artwork, scale):
    with pytest.raises(ValueError, match="scale"):
        panels(Entry(artwork, blocks, "AI"), tmp_path / "a.png", scale=scale)
    with pytest.raises(ValueError, match="one explanation or more"):
        common_reach([])


@pytest.mark.parametrize("line", [1, 3])
def test_the_contour_has_the_colour_of_its_class_and_hides_nothing_of_the_regions(line):
    picture = np.full((64, 64, 3), 120, np.uint8)
    region_map = np.zeros((64, 64), np.int8)
    region_map[16:48, 8:28], region_map[16:48, 36:56] = 1, 2
    colours = [FOR_AI, FOR_HUMAN]
    shown = spotlight(picture, region_map, colours, line)
    assert (shown[region_map > 0] == 120).all()
    assert (shown[:4] == 40).all()  # dimmed, not black
    assert (shown[16 - line : 16, 8:28] == FOR_AI).all()
    assert (shown[16 - line : 16, 36:56] == FOR_HUMAN).all()
    assert (shown[16 - 2 * line : 16 - line, 8:28] == 255).all()
    kept = outline(picture, region_map, colours, line)
    np.testing.assert_array_equal(kept[(shown != 40).all(-1)], shown[(shown != 40).all(-1)])
    assert (picture == 120).all()


def test_a_region_of_most_of_the_picture_has_no_contour_that_would_look_like_that_of_the_rest():
    picture = np.full((64, 64, 3), 120, np.uint8)
    region_map = np.ones((64, 64), np.int8)
    region_map[:20, :30] = 0
    np.testing.assert_array_equal(outline(picture, region_map, [FOR_AI], 2), picture)
    region_map[2:12, 2:12] = 2
    shown = outline(picture, region_map, [FOR_AI, FOR_HUMAN], 2)
    assert (shown[2:12, 12:14] == FOR_HUMAN).all()
    assert (shown[region_map == 1] == 120).all()
