"""The bootstrap: its statistics are those of scikit-learn on the resampled pictures, though nothing is sorted twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from artdetect.stats import bootstrap
from artdetect.stats.bootstrap import Bootstrap, Ranking, average_precision, roc_auc, tpr_at


@st.composite
def pictures(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores with many ties; both classes are present."""
    score = st.integers(0, 6).map(lambda level: level / 6)
    rows = draw(st.lists(st.tuples(st.booleans(), score), max_size=25))
    rows += [(True, draw(score)), (False, draw(score))]
    truth, scores = zip(*rows, strict=True)
    return np.array(truth), np.array(scores)


@pytest.mark.slow
@settings(max_examples=60)
@given(pictures(), st.integers(0, 99))
def test_each_resample_scores_as_scikit_learn_scores_the_rows_drawn(
    truth_and_score: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    truth, score = truth_and_score
    counts = next(Bootstrap(5, seed).counts(truth))
    ai, human = Ranking(truth, score).curve(counts)
    columns = roc_auc(ai, human), average_precision(ai, human), tpr_at(ai, human, 0.2)
    for row, (area, precision, tpr) in zip(counts, zip(*columns, strict=True), strict=True):
        repeated, scores = np.repeat(truth, row), np.repeat(score, row)
        assert area == pytest.approx(roc_auc_score(repeated, scores), abs=1e-12)
        assert precision == pytest.approx(average_precision_score(repeated, scores), abs=1e-12)
        rates = roc_curve(repeated, scores, drop_intermediate=False)
        assert tpr == pytest.approx(rates[1][rates[0] <= 0.2].max(), abs=1e-12)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=30)
def test_a_resample_keeps_the_number_of_each_class(ai: int, human: int, seed: int) -> None:
    truth = np.random.default_rng(seed).permutation([True] * ai + [False] * human)
    counts = np.concatenate(list(Bootstrap(7, seed).counts(truth)))
    assert counts.shape == (7, ai + human)
    assert (counts[:, truth].sum(axis=1) == ai).all()
    assert (counts[:, ~truth].sum(axis=1) == human).all()


def test_every_picture_is_drawn_as_often_as_any_other() -> None:
    truth = np.arange(30) % 3 == 0
    counts = np.concatenate(list(Bootstrap(4000, 1).counts(truth)))
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.08)
    assert counts[:, ~truth].var(axis=0) == pytest.approx(1 - 1 / 20, abs=0.1)  # a multinomial's


def test_the_size_of_a_block_does_not_change_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.arange(10) < 4
    monkeypatch.setattr(bootstrap, "BLOCK", 30)
    assert [len(counts) for counts in Bootstrap(10, 0).counts(truth)] == [3, 3, 3, 1]


def test_an_interval_is_the_middle_95_percent_of_the_resamples() -> None:
    truth = np.arange(20) < 10
    bootstrap = Bootstrap(500, 3)
    values = np.concatenate(list(bootstrap.counts(truth)))[:, 0].astype(float)
    interval = bootstrap.intervals(lambda counts: {"first": counts[:, 0].astype(float)}, truth)["first"]
    assert interval == {"value": 1.0, "low": np.quantile(values, 0.025), "high": np.quantile(values, 0.975)}


def test_means_are_those_of_the_resampled_values() -> None:
    values, bootstrap = np.arange(8) / 3, Bootstrap(50, 4)
    expected = [np.repeat(values, row).mean() for block in bootstrap.counts(np.ones(8, bool)) for row in block]
    assert bootstrap.means(values) == pytest.approx(expected)


def test_a_centred_interval_lies_around_the_value() -> None:
    """The spread of the counts is 0 in the pictures themselves and positive in every resample."""
    truth = np.arange(40) < 20

    def offset(counts: np.ndarray) -> dict[str, np.ndarray]:
        return {"offset": 10 + counts.std(axis=1)}

    plain, centred = (Bootstrap(300, 0).intervals(offset, truth, names)["offset"] for names in ((), ("offset",)))
    assert plain["low"] > plain["value"] == 10
    assert centred["low"] < 10 < centred["high"]
    assert centred["high"] - centred["low"] == pytest.approx(plain["high"] - plain["low"])


def test_above_every_human_picture_is_no_threshold_where_the_highest_is_human() -> None:
    ranking = Ranking(np.array([True, False, True]), np.array([0.5, 0.9, 0.5]))
    assert tpr_at(*ranking.curve(np.ones((1, 3), np.int64)), 0.01) == [0]


@pytest.mark.parametrize("human", [20, 100, 300])
def test_exactly_the_rate_is_allowed(human: int) -> None:
    """One of 100 human pictures may be above at a rate of 1 %, one of 20 at 5 %."""
    truth = np.array([False, True] + [False] * (human - 1))
    score = np.array([0.9, 0.8] + [0.1] * (human - 1))
    once = np.ones((1, len(truth)), np.int64)
    assert tpr_at(*Ranking(truth, score).curve(once), 1 / human) == [1]
    assert tpr_at(*Ranking(truth, score).curve(once), 0.99 / human) == [0]
