"""Splices: where, how and of which pictures they are made."""

import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from artdetect.explain.localisation import metrics
from artdetect.pictures import splices
from artdetect.pictures.labels import AI, HUMAN

AI_ART = [f"{number:064x}" for number in range(100, 112)]
HUMAN_ART = [f"{number:064x}" for number in range(200, 215)]
SIDE = 64


@pytest.mark.parametrize("shape", splices.SHAPES)
def test_the_centre_scores_one_half_over_the_cells_of_each_partition(shape: splices.Shape) -> None:
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    maps = {"centre": -np.hypot(x, y), "top left": -x - 2 * y, "noise": np.random.default_rng(1).random((SIDE, SIDE))}
    for seed in range(20):
        labels = splices.partition(SIDE, shape, np.random.default_rng(seed))
        weights = splices.cell_weights(labels)
        for name, heatmap in maps.items():
            scores = [metrics.auc(heatmap, labels == cell) for cell in range(len(weights))]
            assert weights @ scores == pytest.approx(0.5), name


def test_the_centre_scores_about_one_half_over_drawn_splices() -> None:
    y, x = np.mgrid[:32, :32] - 15.5
    drawn = splices.draw(contents(150), contents(150, 500), 200, seed=3)[::2]
    scores = [metrics.auc(-np.hypot(x, y), splice.mask(32)) for splice in drawn]
    assert np.mean(scores) == pytest.approx(0.5, abs=0.04)


def test_regions_are_as_small_and_as_large_as_promised() -> None:
    drawn = splices.draw(contents(120), contents(120, 500), 200, seed=1)[::2]
    areas = np.array([splice.mask(SIDE).mean() for splice in drawn])
    low, high = splices.AREAS
    assert len(areas) == 200
    assert low - 0.01 < areas.min() < 0.08
    assert 0.4 < areas.max() < high + 0.03
    assert 0.1 < np.mean(areas < 0.12) < 0.5
    assert 0.1 < np.mean(areas > 0.3) < 0.5


def test_a_region_is_the_same_in_every_size() -> None:
    splice = splices.draw(AI_ART, HUMAN_ART, 4, seed=1)[0]
    large = splice.mask(128)
    assert np.mean(splice.mask(32) != large[2::4, 2::4]) < 0.03


def test_splices_depend_on_contents_and_seed_and_not_on_the_order_of_pictures() -> None:
    drawn = splices.draw(AI_ART, HUMAN_ART, 10, seed=1)
    shuffled = (random.Random(1).sample(names, len(names)) for names in (AI_ART, HUMAN_ART))
    assert splices.draw(*shuffled, 10, seed=1) == drawn
    other = splices.draw(AI_ART, HUMAN_ART, 10, seed=2)
    assert [one.base for one in other] != [one.base for one in drawn]


def test_both_directions_with_a_control_each() -> None:
    drawn = splices.draw(AI_ART, HUMAN_ART, 20, seed=1)
    label = dict.fromkeys(AI_ART, AI) | dict.fromkeys(HUMAN_ART, HUMAN)
    assert len(drawn) == 40
    for splice, control in zip(drawn[::2], drawn[1::2], strict=True):
        assert label[splice.donor] == splice.target != label[splice.base]
        assert label[control.donor] == label[control.base]
        assert control.donor != control.base
        assert replace(control, donor=splice.donor, control=False) == splice
    targets = [splice.target for splice in drawn[::2]]
    assert targets.count(AI) == targets.count(HUMAN) == 10
    bases = [splice.base for splice in drawn[::2]]
    assert len(set(bases)) == len(bases)
    assert {splice.edge for splice in drawn} == set(splices.EDGES)
    assert {splice.shape for splice in drawn} == set(splices.SHAPES)


def test_no_picture_is_the_base_of_two_splices() -> None:
    assert len(splices.draw(AI_ART, HUMAN_ART, 1000, seed=1)[::2]) == 2 * (len(AI_ART) - 1)


def test_too_few_pictures_of_a_class_are_said_in_words() -> None:
    assert splices.draw(AI_ART[:3], HUMAN_ART, 10, seed=1) == []
    reason = splices.shortage(3, 15)
    assert reason
    assert "8 test pictures of each class" in reason
    assert "3 AI and 15 human" in reason
    assert splices.shortage(8, 15) is None


def test_parents_are_the_pictures_that_the_model_judges_rightly() -> None:
    table = pd.DataFrame(
        [("c", "AI", "AI"), ("a", "AI", "AI"), ("a", "AI", "AI"), ("b", "AI", "human"), ("d", "human", "human")],
        columns=["sha256", "label", "predicted"],
    )
    assert splices.parents(table) == (["a", "c"], ["d"])


def test_a_hard_edge_pastes_the_very_pixels_at_their_own_place() -> None:
    base, donor = pictures()
    picture, mask = splices.spliced(splice("hard"), base, donor)
    assert np.array_equal(picture[mask], donor[mask])
    assert np.array_equal(picture[~mask], base[~mask])


def test_a_feathered_edge_is_soft_and_changes_nothing_far_from_it() -> None:
    base, donor = pictures()
    hard, mask = splices.spliced(splice("hard"), base, donor)
    soft, _ = splices.spliced(splice("feathered"), base, donor)
    reach = round(5 * splices.FEATHER * SIDE)
    near = binary_dilation(mask, iterations=reach) & ~binary_erosion(mask, iterations=reach, border_value=1)
    assert np.array_equal(soft[~near], hard[~near])
    assert (soft != hard).any()


def test_colour_matching_gives_the_pasted_part_the_colours_that_it_replaces() -> None:
    base, donor = (picture.astype(float) for picture in pictures())
    mask = splice("colour-matched").mask(SIDE)
    matched = splices.colour_matched(donor, base, mask)
    assert np.abs(donor[mask].mean(axis=0) - base[mask].mean(axis=0)).min() > 20
    assert matched[mask].mean(axis=0) == pytest.approx(base[mask].mean(axis=0), abs=1)
    assert matched[mask].std(axis=0) == pytest.approx(base[mask].std(axis=0), rel=0.1)
    assert all(np.corrcoef(matched[mask][:, c], donor[mask][:, c])[0, 1] > 0.99 for c in range(3))
    assert matched.min() >= 0
    assert matched.max() <= 255


def splice(edge: splices.Edge) -> splices.Splice:
    return splices.Splice("0" * 64, "1" * 64, AI, False, "blob", edge, 1)


def pictures() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(4)
    base = draw.normal((90, 120, 60), 20, (SIDE, SIDE, 3)).clip(0, 255)
    donor = draw.normal((170, 160, 150), 30, (SIDE, SIDE, 3)).clip(0, 255)
    return base.astype(np.uint8), donor.astype(np.uint8)


def contents(count: int, start: int = 0) -> list[str]:
    return [f"{number:064x}" for number in range(start, start + count)]
