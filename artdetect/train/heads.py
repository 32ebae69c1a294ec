"""The trained part of `artnet`: features -> whitened principal components -> regularised linear or small MLP head.

Whitening makes the optimisation well conditioned, so that a head is fitted in a fraction of a second. Moments and
linear heads are fitted in chunks, so that memory does not grow with the pictures.
"""

from collections.abc import Iterable, Iterator
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
CHUNK = 4096  # rows that are worked on at a time: bounds memory
GRADIENT = 1e-6  # largest entry of the gradient at which a linear head counts as fitted
MAX_STEPS = 100  # of Newton's method, which needs about ten


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

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(self.shift, self.count - other.count, self.total - other.total, self.products - other.products)


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
    """Fit a head with one output per class. A linear one reads the embeddings in chunks, a few times over.

    Args:
        x: Embeddings, float32 [N, K]; a memory map, if they are many.
        classes: int [N], from 0, at least two different ones.
        weights: float [N], how much each row counts. Rows of weight 0 do not.
        kind: "linear" for logistic regression, "mlp" for one hidden layer, which needs all rows in memory.
        penalty: Weight of the L2 penalty on kernels, which is added to the mean weighted log loss.
        seed: Seed of the MLP.
    """
    if kind == "mlp":
        return _mlp(x, classes, weights, penalty, seed)
    weights = weights / weights.sum()
    of_two = classes.max() == 1
    kernel, bias = _of_two_classes(x, classes, weights, penalty) if of_two else _softmax(x, classes, weights, penalty)
    return Head(((kernel.astype(np.float32), bias.astype(np.float32)),))


def chunks(x: "Floats") -> "Iterator[tuple[slice, Floats]]":
    """The rows of x [N, K] in parts that fit in memory, each with its place."""
    for start in range(0, len(x), CHUNK):
        yield (rows := slice(start, start + CHUNK)), x[rows]


def _of_two_classes(
    x: "Floats", classes: "NDArray[np.int64]", weights: "Floats", penalty: float
) -> "tuple[Floats, Floats]":
    """Logistic regression by Newton's method: kernel [K, 2] and bias [2], which sum to 0 over the classes.

    Each step reads all rows once. What it adds up has K squared numbers, whatever N.
    """
    from scipy.special import expit

    width = x.shape[1]
    ridge = np.append(np.full(width, penalty), 0.0)  # the intercept is free

    def derivatives(beta: "Floats") -> "tuple[float, Floats, Floats]":
        """Loss, gradient and Hessian at the coefficients and intercept `beta` [K + 1]."""
        loss, gradient, hessian = 0.0, np.zeros(width + 1), np.zeros((width + 1, width + 1))
        for rows, part in chunks(x):
            margins = part @ beta[:-1] + beta[-1]
            p, truth, w = expit(margins), classes[rows], weights[rows]
            loss += float(w @ (np.logaddexp(0, margins) - truth * margins))
            slopes, curvatures = w * (p - truth), w * p * (1 - p)
            gradient += np.append(slopes @ part, slopes.sum())
            scaled = part * curvatures.astype(part.dtype)[:, None]
            hessian[:-1, :-1] += scaled.T @ part
            hessian[-1] += np.append(curvatures @ part, curvatures.sum())
        hessian[:, -1] = hessian[-1]
        return (
            loss + float(ridge @ beta**2) / 2,
            gradient + ridge * beta,
            hessian + np.diag(np.maximum(ridge, 1e-12)),  # never singular, however sure the head is
        )

    beta = np.zeros(width + 1)
    loss, gradient, hessian = derivatives(beta)
    for _ in range(MAX_STEPS):
        if np.abs(gradient).max() <= GRADIENT:
            break
        step, share = np.linalg.solve(hessian, gradient), 1.0
        found = derivatives(beta - step)
        while found[0] > loss - 1e-4 * share * float(gradient @ step) + 1e-12 and share > 1e-6:
            share /= 2
            found = derivatives(beta - share * step)
        beta, (loss, gradient, hessian) = beta - share * step, found
    half = np.stack([-beta, beta], axis=1) / 2
    return half[:-1], half[-1]


def _softmax(x: "Floats", classes: "NDArray[np.int64]", weights: "Floats", penalty: float) -> "tuple[Floats, Floats]":
    """Multinomial logistic regression by L-BFGS, whose steps grow with the classes only: kernel [K, C] and bias [C]."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    shape = x.shape[1] + 1, int(classes.max()) + 1

    def loss_and_gradient(flat: "Floats") -> "tuple[float, Floats]":
        beta = flat.reshape(shape)
        loss, gradient = 0.0, np.zeros(shape)
        for rows, part in chunks(x):
            logs = log_softmax(part @ beta[:-1] + beta[-1], axis=1)
            truth, w = classes[rows], weights[rows]
            each = np.arange(len(truth))
            loss -= float(w @ logs[each, truth])
            slopes = np.exp(logs)
            slopes[each, truth] -= 1
            slopes *= w[:, None]
            gradient[:-1] += part.T @ slopes
            gradient[-1] += slopes.sum(axis=0)
        gradient[:-1] += penalty * beta[:-1]
        return loss + penalty * float(np.square(beta[:-1]).sum()) / 2, gradient.ravel()

    options = {"maxiter": 1000, "gtol": GRADIENT, "ftol": 64 * np.finfo(float).eps, "maxls": 50}
    beta = minimize(loss_and_gradient, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options).x
    return beta.reshape(shape)[:-1], beta.reshape(shape)[-1]


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
    for rows, embedded in chunks(x):
        part = np.concatenate([embedded, np.ones((len(embedded), 1), x.dtype)], axis=1)
        logits = head(embedded)
        p = expit((logits[:, 1] - logits[:, 0]).astype(np.float64))
        result += (part * (weights[rows] * p * (1 - p))[:, None]).T @ part
    result /= weights.sum()
    result[np.arange(width), np.arange(width)] += penalty
    return result.astype(np.float32)


def balanced_weights(classes: "NDArray[np.int64]", weights: "Floats") -> "Floats":
    """The weights [N] rescaled so that every class has the same total and the mean weight is 1."""
    totals = np.bincount(classes, weights)
    return (weights * (weights.sum() / len(totals) / totals)[classes]).astype(np.float32)
