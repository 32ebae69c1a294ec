"""Embedding and heads, compared with scikit-learn's; also for constant features and features far from zero."""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from artdetect.train import heads


def features(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Correlated float32 features of very different scales and means."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((count, width)) @ rng.standard_normal((width, width))
    return (mixed * np.geomspace(0.01, 30, width) + np.linspace(-3, 3, width)).astype(np.float32)


def chunked(x: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (x[start : start + size] for start in range(0, len(x), size))


def blobs(classes: Iterable[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of the given number of pictures per class. The classes overlap."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(list(classes))), list(classes))
    centres = rng.standard_normal((y.max() + 1, 5))
    x = centres[y] + rng.standard_normal((len(y), 5))
    order = rng.permutation(len(y))
    return x[order].astype(np.float32), y[order]


def embedding_of(chunks: Iterable[np.ndarray], components: int) -> heads.Embedding:
    first, *rest = chunks
    return heads.fit_embedding(heads.Moments.of([first, *rest], first.mean(axis=0)), components)


# --- the embedding ---


@pytest.mark.parametrize(("count", "width", "components"), [(300, 12, 5), (300, 12, 40), (9, 12, 40)])
def test_the_embedding_is_standardised_whitened_and_shrunk_pca(count: int, width: int, components: int) -> None:
    """Also with more components than features, and with fewer pictures than either."""
    x = features(count, width)
    embedding = embedding_of(chunked(x, 100), components)
    dimensions = min(components, width, count)
    assert (embedding.mean.shape, embedding.matrix.shape) == ((width,), (width, dimensions))
    assert embedding.mean.dtype == embedding.matrix.dtype == np.float32

    standard = StandardScaler().fit_transform(x.astype(np.float64))
    pca = PCA(dimensions).fit(standard)
    eigenvalues = pca.explained_variance_ * (count - 1) / count
    rank = min(dimensions, count - 1)  # beyond it there is only rounding
    expected = (pca.transform(standard) / np.sqrt(eigenvalues + heads.SHRINKAGE))[:, :rank]
    found = embedding(x)[:, :rank]
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=5e-3)


def test_components_have_mean_0_are_uncorrelated_and_vary_less_the_weaker_they_are() -> None:
    x = features(2000, 12)
    embedded = embedding_of([x], 12)(x)
    np.testing.assert_allclose(embedded.mean(axis=0), 0, atol=1e-4)
    covariance = np.cov(embedded.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(x.T.astype(np.float64)))[::-1]
    np.testing.assert_allclose(np.diag(covariance), eigenvalues / (eigenvalues + heads.SHRINKAGE), atol=2e-3)


@pytest.mark.parametrize("size", [1, 7, 299])
def test_the_embedding_does_not_depend_on_the_chunks(size: int) -> None:
    x = features(300, 6)
    whole = embedding_of([x], 6)(x)
    found = embedding_of(chunked(x, size), 6)(x)
    np.testing.assert_allclose(found * np.sign((found * whole).sum(axis=0)), whole, atol=1e-3)


def test_a_mean_far_above_the_deviation_costs_no_digits() -> None:
    """In float32 the square of 1000 has no digits left for a variance of 0.01."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((5000, 8)) * 0.1
    far = (x + 1000).astype(np.float32)
    embedding = embedding_of(chunked(far, 1000), 8)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(far.T.astype(np.float64)))[::-1]
    expected = np.sqrt(eigenvalues / (eigenvalues + heads.SHRINKAGE))
    np.testing.assert_allclose(embedding(far).std(axis=0), expected, atol=2e-3)
    np.testing.assert_allclose(embedding.mean, far.mean(axis=0, dtype=np.float64), rtol=1e-6)


def test_features_that_are_constant_in_training_never_count() -> None:
    x = features(200, 6)
    constant = x.copy()
    constant[:, 2], constant[:, 4] = 0.3, 0
    embedding = embedding_of(chunked(constant, 64), 6)
    assert np.isfinite(embedding.matrix).all()
    later = features(50, 6, seed=1)
    moved = later.copy()
    moved[:, [2, 4]] += 5
    np.testing.assert_array_equal(embedding(moved), embedding(later))
    rest = [0, 1, 3, 5]
    without, found = embedding_of([x[:, rest]], 4)(later[:, rest]), embedding(later)[:, :4]
    np.testing.assert_allclose(found * np.sign((found * without).sum(axis=0)), without, atol=5e-3)


def test_pictures_that_are_all_the_same_have_an_embedding_of_zeros() -> None:
    x = np.full((5, 4), 0.7, np.float32)
    assert not embedding_of([x], 3)(x).any()


def test_moments_of_parts_add_up_to_those_of_all_and_a_part_can_be_taken_away() -> None:
    x = features(300, 8)
    shift = x[:50].mean(axis=0)
    parts = [heads.Moments.of([part], shift) for part in np.split(x, [40, 110])]
    every = heads.Moments.of(chunked(x, 64), shift)
    for found in (parts[0] + parts[1] + parts[2], every):
        assert found.count == 300
        np.testing.assert_allclose(found.total, (x - shift).sum(axis=0, dtype=np.float64), rtol=1e-3, atol=1e-2)
    rest = every - parts[1]
    left = np.concatenate([x[:40], x[110:]])
    found, expected = heads.fit_embedding(rest, 8)(left), embedding_of([left], 8)(left)
    np.testing.assert_allclose(found * np.sign((found * expected).sum(axis=0)), expected, atol=2e-3)
    none = heads.Moments.of([], shift)
    assert (none.count, none.total.any(), none.products.any()) == (0, False, False)


# --- heads ---


@pytest.mark.parametrize("counts", [(60, 200), (60, 100, 140), (80, 60, 40, 20)])
def test_a_linear_head_gives_scikit_learns_probabilities_class_by_class(counts: tuple[int, ...]) -> None:
    from scipy.special import softmax

    x, y = blobs(counts)
    weights = np.random.default_rng(1).uniform(0.2, 3, len(y)).astype(np.float32)
    head = heads.fit(x, y, weights, "linear", 0.03, 0)
    logits = head(x)
    assert logits.shape == (len(y), len(counts))
    reference = LogisticRegression(C=1 / (0.03 * weights.sum()), tol=1e-10, max_iter=10_000)
    expected = reference.fit(x.astype(np.float64), y, weights.astype(np.float64)).predict_proba(x)
    np.testing.assert_allclose(softmax(logits, axis=1), expected, atol=2e-3)
    assert (logits.argmax(axis=1) == y).mean() > 0.6


def test_the_penalty_is_relative_to_the_mean_loss_so_that_pictures_may_be_repeated() -> None:
    x, y = blobs((60, 200))
    one = heads.fit(x, y, np.ones(len(y), np.float32), "linear", 0.1, 0)
    many = heads.fit(np.tile(x, (4, 1)), np.tile(y, 4), np.full(4 * len(y), 7, np.float32), "linear", 0.1, 0)
    np.testing.assert_allclose(many(x), one(x), atol=2e-3)
    strict = heads.fit(x, y, np.ones(len(y), np.float32), "linear", 1.0, 0)
    assert np.linalg.norm(strict.layers[0][0]) < 0.5 * np.linalg.norm(one.layers[0][0])


def test_a_picture_of_weight_3_is_three_pictures() -> None:
    x, y = blobs((100, 100))
    weights = np.where(y == 0, 3, 1)
    weighted = heads.fit(x, y, weights.astype(np.float32), "linear", 0.01, 0)
    rows = np.repeat(np.arange(len(y)), weights)
    repeated = heads.fit(x[rows], y[rows], np.ones(len(rows), np.float32), "linear", 0.01, 0)
    np.testing.assert_allclose(weighted(x), repeated(x), atol=2e-3)


def test_separable_pictures_are_solved_without_a_warning() -> None:
    x, y = blobs((200, 200))
    x[:, 0] += 20 * y
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for penalty in (1e-3, 1e-1):
            head = heads.fit(x, y, np.ones(len(y), np.float32), "linear", penalty, 0)
            assert (head(x).argmax(axis=1) == y).all()


@pytest.mark.slow
def test_an_mlp_is_the_same_for_a_seed_another_for_another_and_learns_what_no_line_can() -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (1000, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    weights = np.ones(len(y), np.float32)
    first, again, other = (heads.fit(x, y, weights, "mlp", 1e-2, seed) for seed in (5, 5, 6))
    assert [(kernel.shape, bias.shape) for kernel, bias in first.layers] == [((2, 64), (64,)), ((64, 2), (2,))]
    np.testing.assert_array_equal(first(x), again(x))
    assert (first(x) != other(x)).any()
    assert (first(x).argmax(axis=1) == y).mean() > 0.9
    straight = heads.fit(x, y, weights, "linear", 1e-2, 5)
    assert (straight(x).argmax(axis=1) == y).mean() < 0.7
    tilted = heads.fit(x, y, np.where(y == 0, 20, 1).astype(np.float32), "mlp", 1e-2, 5)
    assert (tilted(x).argmax(axis=1) == 0).mean() > (first(x).argmax(axis=1) == 0).mean() + 0.05


def test_the_log_loss_is_scikit_learns() -> None:
    from scipy.special import softmax
    from sklearn.metrics import log_loss

    rng = np.random.default_rng(3)
    logits, y, weights = rng.normal(0, 3, (50, 3)).astype(np.float32), rng.integers(0, 3, 50), rng.uniform(0, 2, 50)
    expected = log_loss(y, softmax(logits.astype(np.float64), axis=1), sample_weight=weights, labels=[0, 1, 2])
    assert heads.log_loss(logits, y, weights) == pytest.approx(expected, rel=1e-6)
    assert heads.log_loss(np.float32([[1e4, 0]]), np.array([1]), np.ones(1)) == 1e4


def test_balanced_weights_make_classes_equal_and_keep_the_total() -> None:
    y = np.array([0, 0, 0, 1, 2, 2])
    weights = np.array([1, 2, 3, 4, 1, 1], np.float32)
    found = heads.balanced_weights(y, weights)
    np.testing.assert_allclose(np.bincount(y, found), [4, 4, 4])
    np.testing.assert_allclose(found[:3] / found[0], [1, 2, 3])


@pytest.mark.parametrize("classes", [(60, 90), (60, 40, 50)])
def test_a_linear_head_is_the_same_from_a_file_in_chunks_and_with_rows_that_do_not_count(
    classes: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = blobs(classes)
    weights = np.random.default_rng(1).random(len(y)).astype(np.float32)
    (whole,) = heads.fit(x, y, weights, "linear", 0.01, 0).layers
    monkeypatch.setattr(heads, "CHUNK", 7)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=(2 * len(x), x.shape[1]))
    mapped[: len(x)], mapped[len(x) :] = x, 100.0
    none = np.zeros_like(weights)
    (found,) = heads.fit(mapped, np.tile(y, 2), np.concatenate([weights, none]), "linear", 0.01, 0).layers
    for mine, its in zip(found, whole, strict=True):
        np.testing.assert_allclose(mine - mine.mean(), its - its.mean(), atol=2e-3)
