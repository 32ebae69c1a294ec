"""The posterior of a linear head: what new pictures make of it, beside fits on old and new pictures together."""

import numpy as np
import pytest
from scipy.optimize import minimize

from artdetect.adapt.posterior import Posterior
from artdetect.train import heads

WIDTH, PENALTY = 5, 0.05


def drawn(seed: int, count: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and whether each is AI, half of them; `shift` moves both classes."""
    rng = np.random.default_rng(seed)
    is_ai = np.arange(count) % 2 == 0
    return rng.standard_normal((count, WIDTH)) + np.where(is_ai, 0.6, -0.6)[:, None] + shift, is_ai


def fitted(x: np.ndarray, is_ai: np.ndarray, weights: np.ndarray) -> Posterior:
    y = np.where(is_ai, 0, 1)
    head = heads.fit(x.astype(np.float32), y, weights, "linear", PENALTY, 0)
    precision = heads.precision(x, y, weights, head, PENALTY)
    return Posterior.of_head(*head.layers[-1], precision, len(x))


def old_loss(coefficients: np.ndarray, x: np.ndarray, is_ai: np.ndarray) -> float:
    """The penalised mean log loss that the head was fitted to."""
    margins = x @ coefficients[:-1] + coefficients[-1]
    losses = np.logaddexp(0, np.where(is_ai, -margins, margins))
    return float(losses.mean() + PENALTY * coefficients[:-1] @ coefficients[:-1] / 2)


@pytest.fixture(scope="module")
def prior() -> Posterior:
    x, is_ai = drawn(1, 400)
    return fitted(x, is_ai, np.ones(400))


@pytest.mark.parametrize("weight", [1.0, 30.0, 1e5])
@pytest.mark.parametrize("ai", [0, 3, 30])
def test_it_is_the_optimum(prior: Posterior, ai: int, weight: float) -> None:
    """Both classes weigh the same in total, a picture on average as much as `weight` old ones; one class will do."""
    x, is_ai = np.random.default_rng(2).standard_normal((30, WIDTH)) * 3, np.arange(30) < ai
    share = [len(x) / 2 / max(1, (is_ai == side).sum()) if 0 < ai < 30 else 1.0 for side in (False, True)]
    weights = np.array(share)[is_ai.astype(int)] * weight / 400
    assert weights.sum() == pytest.approx(30 * weight / 400)

    def loss(coefficients: np.ndarray) -> float:
        change, margins = coefficients - prior.coefficients, x @ coefficients[:-1] + coefficients[-1]
        return change @ prior.precision @ change / 2 + weights @ np.logaddexp(0, np.where(is_ai, -margins, margins))

    found = prior.updated(x, is_ai, weight).coefficients
    best = minimize(loss, prior.coefficients, method="BFGS", options={"gtol": 1e-9, "maxiter": 10_000})
    assert loss(found) <= best.fun * (1 + 1e-9)
    np.testing.assert_allclose(found, best.x, rtol=1e-3, atol=1e-3)


def test_a_head_that_is_sure_and_wrong_still_finds_the_optimum() -> None:
    """There, whole steps of Newton's method jump back and forth for ever."""
    prior = Posterior(np.array([30.0, 0.0]), np.diag([1e-3, 1e-3]), 100)
    x, is_ai = np.array([[1.0], [1.2], [-1.0]]), np.array([False, False, True])
    found = prior.updated(x, is_ai, 10.0)
    gradient = prior.precision @ (found.coefficients - prior.coefficients)
    weights = np.array([0.75, 0.75, 1.5]) * 10 / 100
    p = 1 / (1 + np.exp(-found.margins(x)))
    slopes = weights * (p - is_ai)
    np.testing.assert_allclose(gradient, [-(slopes @ x[:, 0]), -slopes.sum()], atol=1e-7)


def test_updating_is_about_fitting_to_old_and_new_pictures_together(prior: Posterior) -> None:
    x, is_ai = drawn(1, 400)
    new_x, new_is_ai = drawn(3, 40, shift=1.0)
    together = fitted(
        np.concatenate([x, new_x]), np.concatenate([is_ai, new_is_ai]), np.concatenate([np.ones(400), np.full(40, 3.0)])
    )
    updated = prior.updated(new_x, new_is_ai, 3.0)
    judged, _ = drawn(4, 300, shift=0.5)
    expected, before, found = (each.margins(judged) for each in (together, prior, updated))
    # The mean loss of the fit together is over 520 in place of 400, so that its penalty weighs more.
    assert np.corrcoef(found, expected)[0, 1] > 0.999
    assert np.abs(found - expected).mean() < 0.25 * np.abs(before - expected).mean()


def test_updating_twice_is_about_updating_once_with_both(prior: Posterior) -> None:
    x, is_ai = drawn(5, 60, shift=0.7)
    once = prior.updated(x, is_ai, 2.0)
    twice = prior.updated(x[:30], is_ai[:30], 2.0).updated(x[30:], is_ai[30:], 2.0)
    apart = np.abs(once.coefficients - prior.coefficients).max()
    assert np.abs(twice.coefficients - once.coefficients).max() < 0.15 * apart
    np.testing.assert_allclose(twice.precision, once.precision, rtol=0.2, atol=0.01)
    assert twice.pictures == 400


def test_the_cost_is_what_small_changes_add_to_the_old_loss(prior: Posterior) -> None:
    old = drawn(1, 400)
    change = np.random.default_rng(6).standard_normal(WIDTH + 1) * 0.03
    other = Posterior(prior.coefficients + change, prior.precision, 400)
    added = old_loss(other.coefficients, *old) - old_loss(prior.coefficients, *old)
    assert prior.cost(other) == pytest.approx(added, rel=0.05)
    assert prior.cost(prior) == 0


def test_a_head_goes_in_and_out(prior: Posterior) -> None:
    again = Posterior.of_head(*prior.head(), prior.precision, 400)
    np.testing.assert_allclose(again.coefficients, prior.coefficients, rtol=1e-6)
