"""The sentence about an explanation agrees with where its regions lie and what they say."""

import numpy as np
import pytest

from artdetect.explain.explanation import Explanation
from artdetect.explain.figures.caption import caption, place
from artdetect.explain.regions.compact import with_regions


def box(top, bottom, left, right, side=90):
    """bool [90, 90]: a box, its sides in ninths."""
    inside = np.zeros((side, side), bool)
    inside[top * 10 : bottom * 10, left * 10 : right * 10] = True
    return inside


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (box(0, 3, 0, 3), "the upper left"),
        (box(0, 3, 3, 6), "the top"),
        (box(0, 3, 6, 9), "the upper right"),
        (box(3, 6, 0, 3), "the left"),
        (box(3, 6, 3, 6), "the centre"),
        (box(3, 6, 6, 9), "the right"),
        (box(6, 9, 0, 3), "the lower left"),
        (box(6, 9, 3, 6), "the bottom"),
        (box(6, 9, 6, 9), "the lower right"),
        (box(0, 3, 0, 9), "the upper part"),
        (box(6, 9, 1, 9), "the lower part"),
        (box(4, 6, 0, 9), "the middle from side to side"),
        (box(0, 9, 0, 3), "the left side"),
        (box(0, 9, 6, 9), "the right side"),
        (box(0, 9, 4, 6), "the middle from top to bottom"),
        (box(0, 9, 0, 6), "most of the picture"),
        (box(0, 9, 0, 9), "the whole picture"),
    ],
)
def test_a_place_is_named_by_its_position(inside, words):
    assert place(inside) == words
    mirrored = place(inside[:, ::-1])
    swapped = {"left": "right", "right": "left"}
    assert mirrored == " ".join(swapped.get(word, word) for word in words.split())


def sentence(values, p_ai=True, target=0, **config):
    values = np.asarray(values, np.float32)
    probabilities = ((values + 1) / 2 if p_ai else None) if not config else None
    heatmap = values if target == 0 or config else -values
    found = Explanation(heatmap, None, target, 1.0, None, config, p_ai=probabilities)
    return caption(with_regions(found, 1 / 8, smooth=False))


def test_the_sentence_says_which_places_speak_for_which_class_and_what_the_rest_says():
    corners = 0.9 * box(0, 3, 0, 3) + 0.8 * box(3, 6, 5, 9)
    assert sentence(corners) == "The right and the upper left speak for AI; the rest says nothing."
    assert sentence(-corners) == "The right and the upper left speak for human; the rest says nothing."
    assert sentence(corners, p_ai=False) == "The right and the upper left speak for AI; the rest says little."
    both = 0.9 * box(0, 4, 0, 4) - 0.8 * box(6, 9, 6, 9)
    assert sentence(both) == "The upper left speaks for AI; the lower right speaks for human; the rest says nothing."


@pytest.mark.parametrize("p_ai", [True, False])
def test_it_is_the_same_for_the_maps_of_both_classes(p_ai):
    both = 0.9 * box(0, 4, 0, 4) - 0.8 * box(6, 9, 6, 9)
    assert sentence(both, p_ai, target=0) == sentence(both, p_ai, target=1)


def test_the_rest_is_not_said_to_say_nothing_where_it_does():
    assert sentence(0.9 * box(0, 3, 0, 9) + 0.4 * box(3, 9, 0, 9)) == (
        "The upper part speaks for AI; the rest leans to AI."
    )
    stripes = np.where(np.arange(90) % 2, 0.4, -0.4)[:, np.newaxis] * box(3, 9, 0, 9)
    assert sentence(0.9 * box(0, 3, 0, 9) + stripes) == "The upper part speaks for AI; the rest is divided."


def test_a_rest_with_some_evidence_does_not_say_nothing():
    specks = 0.4 * ((np.arange(90) % 10 < 3)[:, np.newaxis] * box(3, 9, 0, 9))
    assert sentence(0.9 * box(0, 3, 0, 9) + specks) == "The upper part speaks for AI; the rest says little."
    few = 0.4 * ((np.arange(90) == 60)[:, np.newaxis] * box(3, 9, 0, 9))
    assert sentence(0.9 * box(0, 3, 0, 9) + few) == "The upper part speaks for AI; the rest says nothing."


def test_parts_that_are_not_calibrated_speak_for_nothing():
    both = 3 * box(0, 4, 0, 4) - 3 * box(6, 9, 6, 9)
    assert sentence(both, method="evidence") == (
        "Not calibrated: the map shows where the model leans; what single parts say is not known. "
        "The upper left leans to AI; the lower right leans to human; the rest hardly leans."
    )
    assert sentence(np.zeros((90, 90)), method="evidence").endswith(" is not known. No part stands out.")


def test_of_the_whole_picture_there_is_no_rest_and_of_nothing_no_region():
    assert sentence(np.full((90, 90), -0.8)) == "The whole picture speaks for human."
    assert sentence(np.full((90, 90), 0.1)) == "No part says anything on its own."
    assert sentence(np.zeros((90, 90)), p_ai=False) == "No part stands out."


def test_a_map_without_signs_says_where_it_matters_and_names_no_class():
    assert (
        sentence(box(3, 6, 3, 6), method="gradcam") == "The centre matters most for the verdict; the rest matters less."
    )
