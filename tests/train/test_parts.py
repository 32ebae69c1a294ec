"""What training adds for parts of pictures: heads that know no source of what they judge, and honest silence."""

from dataclasses import replace

import numpy as np
import pytest

from artdetect.model.extractor import EPSILON
from artdetect.model.probabilities import Calibration
from artdetect.model.window_cache import PER_SIDE, WindowFeatureCache
from artdetect.model.window_grid import WindowGrid
from artdetect.pictures.labels import CLASSES
from artdetect.pictures.source_folds import source_folds, source_weights
from artdetect.train import mixed
from artdetect.train import parts as training
from artdetect.train.parts import FittedParts
from tests.train.artnet_pictures import CONFIG, EXTRACTOR, Parts


@pytest.fixture(scope="module")
def judged(parts: Parts) -> FittedParts:
    """Fitted on three makers of which each class needs just one more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("artdetect.train.parts.MIN_SOURCES", 2)
        found = fit_parts(parts)
    assert found is not None
    return found


def fit_parts(rows: Parts) -> FittedParts | None:
    return training.fit(CONFIG, EXTRACTOR, rows[0])


def test_parts_are_not_judged_where_too_few_sources_can_be_left_out(parts: Parts) -> None:
    assert fit_parts(parts) is None


def test_windows_are_drawn_by_content_and_have_the_statistics_of_their_activations(parts: Parts) -> None:
    rows = parts[0].iloc[:3]
    cache = WindowFeatureCache(EXTRACTOR, 0)
    cache.ensure(list(zip(rows.sha256, rows.file, strict=True)))
    found = cache.read(list(rows.sha256))
    sides = list(WindowGrid(64).sides)
    assert found.shape == (3, len(sides), PER_SIDE, EXTRACTOR.build().output_shape[-1])
    assert (found[..., 16:32] >= np.sqrt(EPSILON) * 0.99).all()  # deviations of block0
    np.testing.assert_array_equal(cache.read(list(rows.sha256[::-1])), found[::-1])


def test_each_fold_is_judged_by_heads_that_were_fitted_without_it(judged: FittedParts) -> None:
    """A fold's head is that of the other pictures alone."""
    number = int(judged.folds.folds[0])
    rest, _ = judged.folds.split(number)
    y = judged.pictures.label.map(CLASSES.index).to_numpy(np.int64)
    weights = source_weights(judged.folds.groups, y)
    windows = training._Windows(EXTRACTOR, 2, judged.pictures.iloc[rest].reset_index(drop=True), None)
    trial = judged.measured["components"], judged.measured["penalty"]
    ((again,),) = windows.heads(np.arange(len(rest)), y[rest], weights[rest], [trial])
    ((kernel, _),) = judged.by_fold[number].layers
    np.testing.assert_allclose(kernel, again[0], rtol=1e-3, atol=1e-3 * np.abs(kernel).max())


def test_a_size_whose_windows_are_no_better_than_a_coin_says_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artdetect.train.parts.MIN_SOURCES", 2)
    order = np.random.default_rng(2).permutation(len(parts[0]))
    shuffled = parts[0].assign(file=parts[0].file.to_numpy()[order], sha256=parts[0].sha256.to_numpy()[order])
    found = fit_parts((shuffled, parts[1]))
    assert found is not None
    assert set(found.parts.calibrations.values()) == {None}
    assert mixed.fit(found, EXTRACTOR) is None


def test_the_simplest_head_is_taken_that_is_not_worse_by_more_than_its_standard_error() -> None:
    groups, shares = np.repeat(["a", "b", "c", "d"], 5), np.full(20, 0.05)
    best = np.linspace(0.4, 0.6, 20)
    of_chance = best + np.repeat([0.3, -0.2, 0.2, -0.2], 5)  # worse by 0.025 on average, in two of four sources
    assert training._simplest([best + 0.01, of_chance, best], shares, groups) == 1
    assert training._simplest([best, of_chance], shares, groups) == 0


def test_large_sources_are_cut_to_the_size_of_small_ones(parts: Parts) -> None:
    rows, folds = parts[0], source_folds(parts[0])
    chosen = rows.iloc[training._spread(rows, folds, 40)]
    counts = chosen.source.value_counts()
    assert len(chosen) == 40
    assert set(counts.index) == set(rows.source)
    assert counts.max() - counts.min() <= 1 or counts.min() == rows.source.value_counts().min()


def test_the_rule_for_mixed_pictures_bounds_false_alarms_in_sources_that_it_was_not_fitted_on() -> None:
    firmness, folds = np.arange(1000) / 1000, np.arange(1000) % 5
    spliced, areas = np.array([2.0, 0.5, 0.5, 2.0]), np.array([0.06, 0.2, 0.3, 0.4])
    rule = mixed.rule(mixed.Judged(firmness, folds, spliced, areas))
    assert rule is not None
    assert rule.false_alarms <= rule.upper <= 0.01
    assert 0 < rule.false_alarms == pytest.approx((firmness >= rule.firmness).mean(), abs=0.002)
    assert rule.found == {"below 10 %": 1.0, "10 to 25 %": 0.0, "25 to 50 %": 0.5}
    of_one_origin = mixed.rule(mixed.Judged(np.full(300, -np.inf), folds[:300], np.array([0.1]), np.array([0.3])))
    assert of_one_origin is not None
    assert of_one_origin.false_alarms == of_one_origin.firmness == 0
    firmness[folds == 4] += 1  # a source like no other: what the others give says nothing of it
    assert mixed.rule(mixed.Judged(firmness, folds, spliced, areas)) is None


def test_the_rule_is_fitted_on_pictures_that_the_heads_do_not_know(
    judged: FittedParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrations = dict.fromkeys(WindowGrid(64).sides, Calibration(1.0))
    by_fold = {number: replace(each, calibrations=calibrations) for number, each in judged.by_fold.items()}
    judged = replace(judged, parts=replace(judged.parts, calibrations=calibrations), by_fold=by_fold)
    assert mixed.fit(judged, EXTRACTOR) is None  # too few human-made pictures to bound one in a hundred
    monkeypatch.setattr(mixed, "MIN_HUMAN", 20)
    assert mixed.fit(judged, EXTRACTOR) is None
    monkeypatch.setattr(mixed, "FALSE_ALARMS", 0.2)
    monkeypatch.setattr(mixed, "SPLICES", 12)
    found = mixed.fit(judged, EXTRACTOR)
    assert found is not None
    assert found.false_alarms <= found.upper <= 0.2
    assert 40 <= found.human_pictures <= 48
    assert 1 <= found.spliced_pictures <= 12
    worthless = replace(found, found={"25 to 50 %": 0.09})
    assert mixed.with_rule(judged, worthless).mixed is None
    assert mixed.with_rule(judged, replace(found, found={"25 to 50 %": 0.1})).mixed is not None
