"""The measures of verdicts are scikit-learn's on weights; clusters widen intervals where their pictures are alike."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from artdetect.stats import verdict_measures as module
from artdetect.stats.verdict_measures import verdict_measures


def measured(truth: np.ndarray, p_ai: np.ndarray, called: np.ndarray, *others: Any) -> Any:
    """`verdict_measures`, with 1 for the verdict AI, -1 for human and 0 for unsure."""
    return verdict_measures(truth, p_ai, np.array(["human", "unsure", "AI"])[called + 1], *others)


PICTURES = 300
Case = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def case(seed: int = 1, digits: int = 2) -> Case:
    """Truth, p(AI) with ties, verdicts and weights; the classes are not equally frequent."""
    rng = np.random.default_rng(seed)
    truth = rng.random(PICTURES) < 0.3
    p_ai = np.round(np.clip(0.5 + 0.2 * (2 * truth - 1) + rng.normal(0, 0.25, PICTURES), 0, 1), digits)
    return truth, p_ai, (p_ai >= 0.7).astype(int) - (p_ai < 0.3), rng.uniform(0.1, 3, PICTURES)


def values(found: dict[str, dict[str, float] | None]) -> dict[str, float]:
    return {name: each["value"] for name, each in found.items() if each}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_measures_are_scikit_learns_with_weights_at_equal_shares(seed: int) -> None:
    truth, p_ai, called, weights = case(seed)
    shares = np.where(truth, weights / weights[truth].sum(), weights / weights[~truth].sum()) / 2
    found = values(measured(*case(seed), np.arange(PICTURES), 0))
    expected = {
        "roc_auc": roc_auc_score(truth, p_ai, sample_weight=weights),
        "balanced_accuracy": accuracy_score(truth, p_ai >= 0.5, sample_weight=shares),
        "log_loss": log_loss(truth, p_ai, sample_weight=shares),
        "firm": shares[called != 0].sum(),
        "right_ai": np.average(truth[called == 1], weights=shares[called == 1]),
        "right_human": np.average(~truth[called == -1], weights=shares[called == -1]),
    }
    edges = np.linspace(0, 1, module.BINS + 1)
    bins = np.clip(np.searchsorted(edges, p_ai, side="right") - 1, 0, module.BINS - 1)
    gaps = [abs(np.sum((shares * (p_ai - truth))[bins == number])) for number in range(module.BINS)]
    assert found == pytest.approx(expected | {"ece": sum(gaps)})


def test_a_weight_of_3_is_three_pictures_and_the_scale_of_weights_does_not_matter() -> None:
    truth, p_ai, called, _ = case()
    weights = np.random.default_rng(2).integers(1, 4, PICTURES)
    rows = np.repeat(np.arange(PICTURES), weights)
    one = values(measured(truth, p_ai, called, weights.astype(float), np.arange(PICTURES), 0))
    many = values(measured(truth[rows], p_ai[rows], called[rows], np.ones(len(rows)), rows, 0))
    scaled = values(measured(truth, p_ai, called, 1e-3 * weights, np.arange(PICTURES), 0))
    assert one == pytest.approx(many)
    assert one == pytest.approx(scaled)


@pytest.mark.slow
def test_an_interval_is_that_of_resamples_of_whole_clusters_class_by_class() -> None:
    truth, p_ai, called, weights = case(digits=6)
    clusters = np.arange(PICTURES) % 20
    found = measured(truth, p_ai, called, weights, clusters, 0)
    rng = np.random.default_rng(9)
    resampled = []
    for _ in range(1200):
        rows = []
        for members in (np.flatnonzero(truth), np.flatnonzero(~truth)):
            drawn = rng.choice(20, 20)
            rows += [row for cluster in drawn for row in members[clusters[members] == cluster]]
        resampled.append(roc_auc_score(truth[rows], p_ai[rows], sample_weight=weights[rows]))
    low, high = np.quantile(resampled, [0.025, 0.975])
    auc = found["roc_auc"]
    assert auc is not None
    assert (auc["low"], auc["high"]) == pytest.approx((low, high), abs=0.016)


def test_intervals_over_sources_are_wider_than_over_pictures_where_a_sources_pictures_are_alike() -> None:
    rng = np.random.default_rng(4)
    source = np.arange(1200) // 60
    truth = source % 2 == 0
    alike = rng.normal(0, 1.2, 20)[source]
    for shared, wider in ((alike, True), (np.zeros(1200), False)):
        p_ai = 1 / (1 + np.exp(-(1.5 * (2 * truth - 1) + shared + rng.normal(0, 0.5, 1200))))
        called = (p_ai >= 0.6).astype(int) - (p_ai < 0.4)
        arguments = truth, p_ai, called, np.ones(1200)
        over_sources, over_pictures = (measured(*arguments, c, 0) for c in (source, np.arange(1200)))
        assert values(over_sources) == values(over_pictures)
        for name in ("log_loss", "firm"):
            one, other = over_sources[name], over_pictures[name]
            assert one is not None
            assert other is not None
            assert one["low"] <= one["value"] <= one["high"]
            ratio = (one["high"] - one["low"]) / (other["high"] - other["low"])
            assert ratio > 2.5 if wider else 0.4 < ratio < 1.6, name


def test_one_source_a_class_has_an_interval_of_no_width() -> None:
    truth, p_ai, called, weights = case()
    for each in measured(truth, p_ai, called, weights, truth.astype(int), 0).values():
        assert each is not None
        assert each["low"] == pytest.approx(each["value"]) == pytest.approx(each["high"])


def test_without_verdicts_of_a_kind_their_measure_is_none_and_nothing_warns() -> None:
    truth, p_ai, called, weights = case()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measured(truth, p_ai, np.minimum(called, 0), weights, np.arange(PICTURES), 0)
        assert found["right_ai"] is None
        assert found["right_human"] is not None
        two = measured(np.array([True, False]), np.array([1.0, 0.0]), np.array([1, 0]), np.ones(2), np.arange(2), 0)
    assert values(two) == pytest.approx(
        {"roc_auc": 1, "balanced_accuracy": 1, "log_loss": 0, "ece": 0, "firm": 0.5, "right_ai": 1}
    )


def test_the_same_seed_gives_the_same_intervals_also_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = np.arange(PICTURES) % 30
    one, again, other = (measured(*case(), clusters, seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    monkeypatch.setattr(module, "BLOCK", 7 * PICTURES)
    blocks = measured(*case(), clusters, 1)
    for name, each in one.items():
        assert each is not None
        assert blocks[name] == pytest.approx(each, abs=0.05)


def test_the_interval_of_a_calibration_error_lies_around_it() -> None:
    """Chance adds to the error of a resample, so that its quantiles lay above the value."""
    rng = np.random.default_rng(5)
    p_ai = rng.uniform(0.02, 0.98, 600)
    truth = rng.random(600) < p_ai
    found = measured(truth, p_ai, np.zeros(600, int), np.ones(600), np.arange(600), 0)["ece"]
    assert found is not None
    assert found["low"] < found["value"] < found["high"]
