"""A linear head and what its training pictures say about it, updated with new pictures.

The old pictures enter as a Gaussian around the old head (a Laplace approximation), so they need not be at hand.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from artdetect.pictures.labels import AI, CLASSES, HUMAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

STEPS = 100  # of Newton's method, at most; it takes about six
TOLERANCE = 1e-6  # of the largest coefficient's step
INTERCEPT = 1e-6  # precision of the intercept, which has no penalty: keeps the matrix invertible
HALVINGS = 30  # of a step that goes too far, at most


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

    @staticmethod
    def of_head(kernel: "Floats", bias: "Floats", precision: "Floats", pictures: int) -> "Posterior":
        """The posterior of a head with one logit per class.

        Args:
            kernel: float [K, 2].
            bias: float [2].
            precision: As for the class, in any precision of floats.
            pictures: As for the class.
        """
        both = np.concatenate([kernel, bias[None]]).astype(np.float64)
        precision = precision.astype(np.float64)
        precision = (precision + precision.T) / 2
        precision[-1, -1] += INTERCEPT
        return Posterior(both[:, AI] - both[:, HUMAN], precision, pictures)

    def head(self) -> "tuple[Floats, Floats]":
        """Kernel float32 [K, 2] and bias float32 [2] of a head with these margins, the inverse of `of_head`."""
        both = np.zeros((len(self.coefficients), len(CLASSES)), np.float32)
        both[:, AI], both[:, HUMAN] = self.coefficients / 2, -self.coefficients / 2
        return both[:-1], both[-1]

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
        classes = np.bincount(is_ai, minlength=2)
        shares = len(x) / max(1, int(np.count_nonzero(classes))) / np.maximum(classes, 1)
        weights = shares[is_ai.astype(int)] * weight / self.pictures
        signs = np.where(is_ai, 1.0, -1.0)

        def loss(coefficients: "Floats") -> float:
            change = coefficients - self.coefficients
            return float(change @ self.precision @ change / 2 + weights @ np.logaddexp(0, -signs * (x @ coefficients)))

        coefficients, precision = self.coefficients, self.precision
        for _ in range(STEPS):
            p = expit(x @ coefficients)
            gradient = self.precision @ (coefficients - self.coefficients) + x.T @ (weights * (p - is_ai))
            precision = self.precision + (x * (weights * p * (1 - p))[:, None]).T @ x
            step = cho_solve(cho_factor(precision), gradient)
            for _ in range(HALVINGS):  # far from the optimum, a whole step can lead away from it
                if loss(coefficients - step) <= loss(coefficients) - 1e-4 * float(gradient @ step):
                    break
                step = step / 2
            coefficients = coefficients - step
            if np.abs(step).max() < TOLERANCE:
                break
        return Posterior(coefficients, precision, self.pictures)

    def cost(self, other: "Posterior") -> float:
        """About how much the penalised mean log loss on old pictures grows with another's coefficients, in nats."""
        change = other.coefficients - self.coefficients
        return float(change @ self.precision @ change / 2)


def _with_one(x: "Floats") -> "Floats":
    return np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(np.float64)
