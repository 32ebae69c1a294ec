"""The trained part of `artnet`: features -> whitened principal components -> regularised linear or small MLP head.

Whitening makes the heads' problems well conditioned, so that each is solved in a fraction of a second; what is stored a
picture and view shrinks with it, so memory stays small where pictures are many.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from artdetect.train.calibration import ValidationPredictions
from artdetect.train.seeding import seeded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

Kind = Literal["linear", "mlp"]
SHRINKAGE = 0.3  # added to the eigenvalues of the correlation matrix, whose mean is 1: faint directions stay faint
HIDDEN = 64  # units of the MLP


@dataclass(frozen=True)
class Embedding:
    """Standardised features on their first principal components, whitened: (x - mean) @ matrix."""

    mean: "Floats"  # [D]
    matrix: "Floats"  # [D, K]

    def __call__(self, features: "Floats") -> "Floats":
        """Features [N, D] -> embeddings [N, K]."""
        return (features - self.mean) @ self.matrix


@dataclass(frozen=True)
class Head:
    """Dense layers from an embedding to logits: (kernel, bias) each, ReLU between them."""

    layers: "tuple[tuple[Floats, Floats], ...]"

    def __call__(self, x: "Floats") -> "Floats":
        """Embeddings [N, K] -> logits [N, C]."""
        for number, (kernel, bias) in enumerate(self.layers):
            x = (np.maximum(x, 0) if number else x) @ kernel + bias
        return x


@dataclass(frozen=True)
class FittedHead:
    """What training found."""

    embedding: Embedding
    head: Head
    families: tuple[str, ...]
    family_head: Head | None
    validation: ValidationPredictions
    candidates: list[dict[str, Any]]  # kind, penalty and validation log loss of every head tried, the best first
    left_out: list[dict[str, Any]]  # see `_leave_one_out`
    train: "np.ndarray"  # float16 [N, K]: embeddings of the training pictures, clean
    spread: float  # mean square of the training views' embeddings: the novelty that counts as 1


def embedding(chunks: "Iterable[Floats]", components: int) -> Embedding:
    """The embedding that these features [n, D] a chunk define; memory does not grow with their number."""
    count = 0
    shift = total = products = np.zeros((), np.float64)
    for chunk in chunks:
        if not count:  # near the mean, where a variance that is small beside it keeps its digits
            shift = chunk.mean(axis=0, dtype=np.float64).astype(np.float32)
        near = chunk - shift
        count += len(chunk)
        total = total + near.sum(axis=0, dtype=np.float64)
        products = products + near.T @ near
    mean = total / count
    covariance = products / count - np.outer(mean, mean)
    variance = np.diag(covariance)
    scale = np.sqrt(np.where(variance > 1e-12, variance, np.inf))  # what never varied counts for nothing
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    chosen = np.argsort(values)[::-1][: min(components, len(values), count)]
    matrix = vectors[:, chosen] / np.sqrt(np.maximum(values[chosen], 0) + SHRINKAGE) / scale[:, None]
    return Embedding((shift + mean).astype(np.float32), matrix.astype(np.float32))


def fit(x: "Floats", classes: "NDArray[np.int64]", weights: "Floats", kind: Kind, penalty: float, seed: int) -> Head:
    """A head with two or more outputs on embeddings [N, K]; class c is output c.

    `penalty` is the L2 penalty on kernels beside the mean weighted log loss.
    """
    if kind == "mlp":
        return _mlp(x, classes, weights, penalty, seed)
    from sklearn.linear_model import LogisticRegression

    weights = weights / weights.sum()
    solved = LogisticRegression(C=1 / penalty, tol=1e-6, max_iter=1000).fit(x, classes, weights)
    kernel, bias = solved.coef_.T, solved.intercept_
    if kernel.shape[1] == 1:  # scikit-learn keeps the second class's margin over the first only
        kernel, bias = np.concatenate([-kernel / 2, kernel / 2], axis=1), np.concatenate([-bias / 2, bias / 2])
    return Head(((kernel.astype(np.float32), bias.astype(np.float32)),))


def _mlp(x: "Floats", classes: "NDArray[np.int64]", weights: "Floats", penalty: float, seed: int) -> Head:
    """One hidden layer, AdamW with cosine decay; `penalty` is its weight decay."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = [
        keras.Input((x.shape[1],)),
        keras.layers.Dense(HIDDEN, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(int(classes.max()) + 1),
    ]
    net = seeded(keras.Sequential(layers), seed)
    epochs, batch = 30, 256
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(x) // batch))
    net.compile(
        keras.optimizers.AdamW(rate, weight_decay=penalty), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    net.optimizer.build(net.trainable_variables)  # or the first step makes its variables and is traced twice
    net.fit(x, classes, batch, epochs, sample_weight=weights / weights.mean(), verbose=0)
    dense = [layer for layer in net.layers if isinstance(layer, keras.layers.Dense)]
    return Head(tuple((np.asarray(layer.kernel), np.asarray(layer.bias)) for layer in dense))


def log_loss(logits: "Floats", classes: "NDArray[np.int64]", weights: "Floats") -> float:
    """The mean weighted cross-entropy of logits [N, C]."""
    from scipy.special import log_softmax

    losses = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(classes)), classes]
    return float(np.average(losses, weights=weights))


def balanced(classes: "NDArray[np.int64]", weights: "Floats") -> "Floats":
    """Weights that make every class count the same, and 1 on the average."""
    totals = np.bincount(classes, weights)
    return (weights * (weights.sum() / len(totals) / totals)[classes]).astype(np.float32)
