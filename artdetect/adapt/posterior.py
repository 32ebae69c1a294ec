"""A linear head and what its training pictures say about it, updated with new pictures.

The old pictures enter as a Gaussian around the old head (a Laplace approximation), so they need not be at hand.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

STEPS = 50  # of Newton's method, at most; it takes about six
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Posterior:
    """A head's margin, the logit of AI minus that of human, as a Gaussian around its coefficients.

    Args:
        coefficients: float64 [K + 1] on embeddings; the last is the intercept.
        precision: float64 [K + 1, K + 1] per unit of total weight, see `artdetect.train.heads.precision`.
        pictures: How many pictures it was fitted to.
    """

    coefficients: "Floats"
    precision: "Floats"
    pictures: int

    def margins(self, x: "Floats") -> "Floats":
        """The margins float64 [n] of embeddings [n, K]."""
        return _with_one(x) @ self.coefficients

    def updated(self, x: "Floats", is_ai: "NDArray[np.bool_]", weight: float) -> "Posterior":
        """The posterior after new pictures.

        Args:
            x: Their embeddings, float [n, K].
            is_ai: Whether each is AI, bool [n]. Both classes count the same in total, if both are there.
            weight: How many old pictures one new picture counts as.
        """
        from scipy.linalg import cho_factor, cho_solve
        from scipy.special import expit

        x = _with_one(x)
        classes = np.array([(~is_ai).sum(), is_ai.sum()])
        weights = (len(x) / np.count_nonzero(classes) / classes[is_ai.astype(int)]) * weight / self.pictures
        coefficients = self.coefficients
        for _ in range(STEPS):
            p = expit(x @ coefficients)
            gradient = self.precision @ (coefficients - self.coefficients) + x.T @ (weights * (p - is_ai))
            precision = self.precision + (x * (weights * p * (1 - p))[:, None]).T @ x
            step = cho_solve(cho_factor(precision), gradient)
            coefficients = coefficients - step
            if np.abs(step).max() < TOLERANCE:
                break
        return Posterior(coefficients, precision, self.pictures)

    def cost(self, other: "Posterior") -> float:
        """How much the mean log loss on the old pictures grows with another's coefficients, about, in nats."""
        change = other.coefficients - self.coefficients
        return float(change @ self.precision @ change / 2)


def _with_one(x: "Floats") -> "Floats":
    return np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(np.float64)
