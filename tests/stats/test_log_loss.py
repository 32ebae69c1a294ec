"""The log loss, compared with scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from artdetect.stats.log_loss import log_losses


def test_the_mean_is_scikit_learns_log_loss_also_for_probabilities_of_0_and_1() -> None:
    rng = np.random.default_rng(4)
    truth = rng.random(50) < 0.4
    p_ai = np.concatenate([rng.random(46), [0.0, 1.0, 0.0, 1.0]])
    losses = log_losses(truth, p_ai)
    assert losses.shape == (50,)
    assert np.isfinite(losses).all()
    assert losses.mean() == pytest.approx(log_loss(truth, p_ai))
    assert log_losses(np.array([True, False]), np.array([1.0, 0.0])) == pytest.approx([0, 0], abs=1e-9)
