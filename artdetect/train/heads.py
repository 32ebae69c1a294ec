"""The trained part of `artnet`: features -> whitened principal components -> regularised linear or small MLP head.

Whitening makes the optimisation well conditioned, so that a head is fitted in a fraction of a second. Fewer components
than features also keep the memory small for many pictures.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from artdetect.model.artnet_model import Embedding, Head
from artdetect.train.seeding import seeded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artdetect.train.calibration import HeldOutPredictions
    from artdetect.train.out_of_source import OutOfSource

    Floats = NDArray[np.floating]

Kind = Literal["linear", "mlp"]
SHRINKAGE = 0.3  # added to the correlation matrix's eigenvalues, whose mean is 1: keeps weak directions weak
HIDDEN = 64  # units of the MLP


@dataclass(frozen=True)
class FittedHead:
    """The result of fitting artnet.

    Args:
        embedding: From features to embeddings.
        head: From embeddings to the logits of the classes.
        families: The generator families, in the order of `family_head`'s logits.
        family_head: From embeddings to the logits of the families, where there are at least two.
        candidates: Kind, penalty and out-of-source log loss of every head tried, the best first.
        train: float16 [N, K], the embeddings of the clean training pictures.
        novelty_scale: Mean square of the training views' embeddings. Novelty is 1 there.
        held_out: Predictions for pictures of held-out sources, to calibrate on.
        out_of_source: What these pictures are called, and how many sources there are.
        validation: The head's predictions for the validation pictures, whose sources it knows.
        precision: See `precision`; None for a head that is not linear.
    """

    embedding: Embedding
    head: Head
    families: tuple[str, ...]
    family_head: Head | None
    candidates: list[dict[str, Any]]
    train: "np.ndarray"
    novelty_scale: float
    held_out: "HeldOutPredictions"
    out_of_source: "OutOfSource"
    validation: "HeldOutPredictions"
    precision: "np.ndarray | None"


@dataclass(frozen=True)
class Moments:
    """Count, sum and products of features, shifted so that the digits of small variances survive.

    Moments of several sets of pictures with the same shift add up to those of all of them.
    """

    shift: "Floats"  # [D]
    count: int
    total: "Floats"  # [D]
    products: "Floats"  # [D, D]

    @staticmethod
    def of(chunks: "Iterable[Floats]", shift: "Floats") -> "Moments":
        """The moments of features that come in chunks [n, D]. Memory does not grow with their number."""
        count, total, products = 0, np.zeros(len(shift)), np.zeros((len(shift), len(shift)))
        for chunk in chunks:
            shifted = chunk - shift
            count += len(chunk)
            total += shifted.sum(axis=0, dtype=np.float64)
            products += shifted.T @ shifted
        return Moments(shift, count, total, products)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.shift, self.count + other.count, self.total + other.total, self.products + other.products)


def fit_embedding(moments: Moments, components: int) -> Embedding:
    """Fit the embedding to features with these moments."""
    mean = moments.total / moments.count
    covariance = moments.products / moments.count - np.outer(mean, mean)
    variance = np.diag(covariance)
    scale = np.sqrt(np.where(variance > 1e-12, variance, np.inf))  # constant features get no weight
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    largest = np.argsort(values)[::-1][: min(components, len(values), moments.count)]
    matrix = vectors[:, largest] / np.sqrt(np.maximum(values[largest], 0) + SHRINKAGE) / scale[:, None]
    return Embedding((moments.shift + mean).astype(np.float32), matrix.astype(np.float32))


def fit(x: "Floats", classes: "NDArray[np.int64]", weights: "Floats", kind: Kind, penalty: float, seed: int) -> Head:
    """Fit a head with one output per class.

    Args:
        x: Embeddings, float [N, K].
        classes: int [N], from 0, at least two different ones.
        weights: float [N], how much each row counts.
        kind: "linear" for logistic regression, "mlp" for one hidden layer.
        penalty: Weight of the L2 penalty on kernels, which is added to the mean weighted log loss.
        seed: Seed of the MLP.
    """
    if kind == "mlp":
        return _mlp(x, classes, weights, penalty, seed)
    from sklearn.linear_model import LogisticRegression

    weights = weights / weights.sum()
    solver = "newton-cholesky" if classes.max() == 1 else "lbfgs"  # the former's time grows with the classes' square
    regression = LogisticRegression(C=1 / penalty, tol=1e-6, max_iter=1000, solver=solver).fit(x, classes, weights)
    kernel, bias = regression.coef_.T, regression.intercept_
    if kernel.shape[1] == 1:  # for two classes, scikit-learn has only the logit difference
        kernel, bias = np.concatenate([-kernel / 2, kernel / 2], axis=1), np.concatenate([-bias / 2, bias / 2])
    return Head(((kernel.astype(np.float32), bias.astype(np.float32)),))


def _mlp(x: "Floats", classes: "NDArray[np.int64]", weights: "Floats", penalty: float, seed: int) -> Head:
    """One hidden layer, trained by AdamW with cosine decay. `penalty` is the weight decay."""
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
    net.optimizer.build(net.trainable_variables)  # if the first step creates the variables, it is traced twice
    net.fit(x, classes, batch, epochs, sample_weight=weights / weights.mean(), verbose=0)
    dense = [layer for layer in net.layers if isinstance(layer, keras.layers.Dense)]
    return Head(tuple((np.asarray(layer.kernel), np.asarray(layer.bias)) for layer in dense))


def log_loss(logits: "Floats", classes: "NDArray[np.int64]", weights: "Floats") -> float:
    """The mean weighted cross-entropy of logits [N, C].

    Unlike `artdetect.stats.log_loss` it takes logits, so that no precision is lost in probabilities close to 0 or 1.

    Args:
        logits: float [N, C].
        classes: int [N], the true classes, from 0.
        weights: float [N], how much each row counts.

    Returns:
        The loss in nats.
    """
    from scipy.special import log_softmax

    losses = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(classes)), classes]
    return float(np.average(losses, weights=weights))


def precision(x: "Floats", classes: "NDArray[np.int64]", weights: "Floats", head: Head, penalty: float) -> "Floats":
    """The precision matrix of the Laplace approximation to the posterior of a linear head, per unit of total weight.

    It says how much worse the head gets on its training pictures, when it is changed: for a change d of the margin's
    coefficients and intercept, the penalised mean log loss grows by about d @ precision @ d / 2. Source: MacKay, "The
    Evidence Framework Applied to Classification Networks" (1992).

    Args:
        x: Embeddings, float [N, K].
        classes: int [N], 0 or 1.
        weights: float [N], how much each row counts.
        head: The head that was fitted to them.
        penalty: The penalty that it was fitted with.

    Returns:
        float32 [K + 1, K + 1]. The last row and column are the intercept's.
    """
    from scipy.special import expit

    width = x.shape[1]
    result = np.zeros((width + 1, width + 1))
    for start in range(0, len(x), 4096):
        part = np.concatenate([x[start : start + 4096], np.ones((len(x[start : start + 4096]), 1), x.dtype)], axis=1)
        logits = head(part[:, :-1])
        p = expit((logits[:, 1] - logits[:, 0]).astype(np.float64))
        result += (part * (weights[start : start + 4096] * p * (1 - p))[:, None]).T @ part
    result /= weights.sum()
    result[np.arange(width), np.arange(width)] += penalty
    return result.astype(np.float32)


def balanced_weights(classes: "NDArray[np.int64]", weights: "Floats") -> "Floats":
    """The weights [N] rescaled so that every class has the same total and the mean weight is 1."""
    totals = np.bincount(classes, weights)
    return (weights * (weights.sum() / len(totals) / totals)[classes]).astype(np.float32)
