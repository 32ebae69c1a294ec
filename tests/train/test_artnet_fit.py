"""What artnet chooses, and on what: heads judge only sources and generators that they were not trained on."""

import numpy as np
import pandas as pd
import pytest

from artdetect.core.errors import DataError
from artdetect.model.feature_cache import FeatureCache
from artdetect.pictures.labels import CLASSES
from artdetect.pictures.source_folds import source_folds, source_weights
from artdetect.train import artnet, heads, out_of_source
from artdetect.train.artnet import FittedHead
from artdetect.train.calibration import fit_calibration
from tests.train.artnet_pictures import CONFIG, Parts


def features(views: list[FeatureCache], rows: pd.DataFrame) -> np.ndarray:
    return np.stack([view.read(list(rows.sha256)) for view in views])


def classes(rows: pd.DataFrame) -> np.ndarray:
    return rows.label.map(CLASSES.index).to_numpy()


def assert_same_predictions(one: FittedHead, other: FittedHead, rows: np.ndarray) -> None:
    for name in ("logits", "novelty"):
        mine, yours = (getattr(fitted.held_out, name)[:, rows] for fitted in (one, other))
        np.testing.assert_allclose(mine, yours, rtol=1e-2, atol=1e-2)


def test_the_head_with_the_least_out_of_source_loss_over_all_views_is_selected(
    fitted: FittedHead, views: list[FeatureCache], parts: Parts
) -> None:
    assert sorted(row["penalty"] for row in fitted.candidates) == list(artnet.PENALTIES["linear"])
    losses = [row["out_of_source_loss"] for row in fitted.candidates]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(fitted.held_out.log_loss(fit_calibration(fitted.held_out)), abs=1e-6)
    for row in fitted.candidates:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(artnet, "PENALTIES", {"linear": (row["penalty"],)})
            (alone,) = artnet.fit(CONFIG, views, *parts).candidates
        assert alone == row


def test_the_head_is_fitted_on_all_training_pictures_and_judges_validation_in_its_clean_view(
    fitted: FittedHead, views: list[FeatureCache], parts: Parts
) -> None:
    rows, validation = parts
    x = fitted.embedding(features(views, rows))
    head = heads.fit(
        x.reshape(-1, x.shape[-1]), np.tile(classes(rows), 2), np.ones(2 * len(rows)), "linear",
        fitted.candidates[0]["penalty"], 0,
    )  # fmt: skip
    judged = fitted.embedding(features(views[:1], validation)[0])
    np.testing.assert_allclose(fitted.head(judged), head(judged), atol=1e-3)
    np.testing.assert_allclose(fitted.validation.logits, [fitted.head(judged) @ [1, -1]], atol=1e-3)
    np.testing.assert_array_equal(fitted.validation.classes, classes(validation))
    novelty = np.square(judged).mean(axis=1) / fitted.novelty_scale
    np.testing.assert_allclose(fitted.validation.novelty, [novelty], rtol=1e-3)
    assert (np.square(x).mean(axis=-1) / fitted.novelty_scale).mean() == pytest.approx(1)
    np.testing.assert_allclose(fitted.train, x[0], atol=5e-3)


def copies_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The pictures, among which two of a fold have near-duplicates in others."""
    folds = source_folds(rows).folds
    chosen = [np.flatnonzero((rows.label == label) & (folds == fold))[0] for label, fold in (("AI", 0), ("AI", 1))] + [
        np.flatnonzero((rows.label == "human") & (folds == fold))[0] for fold in (0, 3)
    ]
    group = rows.group.copy()
    group.iloc[chosen[:2]], group.iloc[chosen[2:]] = "a" * 16, "b" * 16
    return rows.assign(group=group)


@pytest.mark.parametrize("copies", [False, True])
def test_held_out_pictures_are_judged_by_heads_that_know_neither_their_sources_nor_their_generators(
    copies: bool, views: list[FeatureCache], parts: Parts
) -> None:
    """Nor their near-duplicates; scaling, components and novelty are fitted without them, too."""
    rows = copies_of(parts[0]) if copies else parts[0]
    fitted = artnet.fit(CONFIG, views, rows, parts[1])
    held_out, x, y = fitted.held_out, features(views, rows), classes(rows)
    folds = source_folds(rows)
    assert (held_out.logits.shape, held_out.novelty.shape) == ((2, 96), (2, 96))
    np.testing.assert_array_equal(held_out.classes, y)
    np.testing.assert_allclose(held_out.weights, source_weights(folds.groups, y))
    for fold in folds.numbers:
        rest, judged = folds.split(fold)
        known = rows.iloc[rest]
        ai = known.label == "AI"
        assert not set(known.source) & set(rows.source.iloc[judged])
        assert not set(known.generator[ai]) & set(rows.generator.iloc[judged])
        assert not set(known.group.dropna()) & set(rows.group.iloc[judged].dropna())
        both = x[:, rest].reshape(-1, x.shape[-1])
        embedding = heads.fit_embedding(heads.Moments.of([both], both.mean(axis=0)), CONFIG.pca_components)
        weights = heads.balanced_weights(np.tile(y[rest], 2), np.ones(2 * len(rest), np.float32))
        penalty = fitted.candidates[0]["penalty"]
        head = heads.fit(embedding(both), np.tile(y[rest], 2), weights, "linear", penalty, 0)
        for view in range(2):
            embedded = embedding(x[view, judged])
            np.testing.assert_allclose(held_out.logits[view, judged], head(embedded) @ [1, -1], rtol=0.01, atol=0.02)
            novelty = np.square(embedded).mean(axis=1) / np.square(embedding(both)).mean()
            np.testing.assert_allclose(held_out.novelty[view, judged], novelty, rtol=0.01)


def test_a_near_duplicate_of_a_held_out_picture_may_look_like_anything(
    views: list[FeatureCache], parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = copies_of(parts[0])
    folds = source_folds(rows)
    copy = int(np.flatnonzero((folds.duplicates == "b" * 16) & (folds.folds == 3))[0])
    before = [artnet.fit(CONFIG, views, table, parts[1]) for table in (rows, parts[0])]
    read = FeatureCache.read

    def other(self: FeatureCache, sha256s: list[str]) -> np.ndarray:
        found = np.array(read(self, sha256s))
        found[[sha256 == rows.sha256[copy] for sha256 in sha256s]] *= 3
        return found

    monkeypatch.setattr(FeatureCache, "read", other)
    penalty = before[0].candidates[0]["penalty"]
    monkeypatch.setattr(artnet, "PENALTIES", {"linear": (penalty,)})
    after = [artnet.fit(CONFIG, views, table, parts[1]) for table in (rows, parts[0])]
    held_out = np.flatnonzero(folds.folds == 0)
    assert_same_predictions(before[0], after[0], held_out)
    with pytest.raises(AssertionError):  # it would train the others, were it not a near-duplicate
        assert_same_predictions(before[1], after[1], held_out)


def test_the_order_of_the_rows_does_not_matter(fitted: FittedHead, views: list[FeatureCache], parts: Parts) -> None:
    order = np.random.default_rng(3).permutation(len(parts[0]))
    other = artnet.fit(CONFIG, views, parts[0].iloc[order].reset_index(drop=True), parts[1])
    assert [row["penalty"] for row in other.candidates] == [row["penalty"] for row in fitted.candidates]
    np.testing.assert_allclose(other.held_out.logits, fitted.held_out.logits[:, order], rtol=1e-2, atol=1e-2)
    np.testing.assert_array_equal(other.held_out.weights, fitted.held_out.weights[order])


def test_pictures_are_judged_in_the_views_that_are_given_for_it(
    fitted: FittedHead, views: list[FeatureCache], parts: Parts
) -> None:
    swapped = artnet.fit(CONFIG, views, *parts, views[::-1])
    penalty = fitted.candidates[0]["penalty"]
    assert penalty == swapped.candidates[0]["penalty"]
    np.testing.assert_array_equal(swapped.held_out.logits, fitted.held_out.logits[::-1])
    np.testing.assert_allclose(swapped.head.layers[0][0], fitted.head.layers[0][0])


def test_the_verdicts_of_held_out_pictures_are_cross_calibrated(fitted: FittedHead, parts: Parts) -> None:
    expected = out_of_source.cross_calibrated(
        parts[0], source_folds(parts[0]), fitted.held_out, CONFIG.threshold, CONFIG.abstain
    )
    pd.testing.assert_frame_equal(fitted.out_of_source.table, expected.table)


# --- few pictures ---


def some(rows: pd.DataFrame, human: int, ai: int, makers: tuple[str, ...] = ("bright", "grainy")) -> pd.DataFrame:
    """The first pictures of the human sources and of each of these makers."""
    parts = [rows[rows.label == "human"].iloc[:human], *(rows[rows.generator == maker].iloc[:ai] for maker in makers)]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("human", "ai", "makers"), [(2, 1, ("bright", "grainy")), (2, 2, ("bright",)), (7, 5, ("grainy",))]
)
def test_two_pictures_a_class_are_enough(
    human: int, ai: int, makers: tuple[str, ...], views: list[FeatureCache], parts: Parts
) -> None:
    rows = some(parts[0], human, ai, makers)
    found = artnet.fit(CONFIG, views, rows, parts[1])
    assert set(found.held_out.classes) == {0, 1}
    assert np.isfinite(found.held_out.logits).all()
    assert np.isfinite(fit_calibration(found.held_out).temperature)
    assert not found.out_of_source.enough
    out_of_source.summary(found.out_of_source)  # may be None, and is no crash


@pytest.mark.parametrize("duplicates", [False, True])
def test_classes_without_a_picture_to_hold_out_are_one_line(
    duplicates: bool, views: list[FeatureCache], parts: Parts
) -> None:
    rows = some(parts[0], 9, 5, ("bright",)) if duplicates else some(parts[0], 9, 1, ("bright",))
    if duplicates:
        rows = rows.assign(group=pd.Series("c" * 16, rows.index, "string").where(rows.label == "AI"))
    with pytest.raises(DataError, match="at least two pictures of each class that are no near-duplicates") as error:
        artnet.fit(CONFIG, views, rows, parts[1])
    assert "\n" not in str(error.value)


def test_pictures_that_all_look_the_same_to_the_backbone_are_no_crash(
    views: list[FeatureCache], parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FeatureCache, "read", lambda self, sha256s: np.full((len(sha256s), 80), 0.3, np.float32))
    found = artnet.fit(CONFIG, views, *parts)
    assert np.isfinite(found.held_out.logits).all()
    assert not np.any(found.held_out.novelty)
    assert np.isfinite(found.out_of_source.table.p_ai).all()


@pytest.mark.slow
def test_best_tries_both_kinds_and_takes_the_better(
    views: list[FeatureCache], parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artnet, "PENALTIES", {"linear": (1e-2,), "mlp": (1e-2,)})
    monkeypatch.setattr(artnet, "MIN_PER_GENERATOR", 1000)
    found = artnet.fit(CONFIG.model_copy(update={"head": "best"}), views, *parts)
    assert {row["head"] for row in found.candidates} == {"linear", "mlp"}
    assert len(found.head.layers) == (1 if found.candidates[0]["head"] == "linear" else 2)


def test_weights_of_pictures_count(fitted: FittedHead, views: list[FeatureCache], parts: Parts) -> None:
    heavy = parts[0].assign(weight=np.where(parts[0].label == "AI", 30.0, 1.0))
    logits = artnet.fit(CONFIG, views, heavy, parts[1]).validation.logits
    assert logits.mean() > fitted.validation.logits.mean() + 0.1


@pytest.mark.parametrize(("fewest", "families"), [(24, ["bright", "grainy"]), (25, []), (10, [])])
def test_generators_with_too_few_pictures_are_no_family(
    fewest: int, families: list[str], views: list[FeatureCache], parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single family counts as none."""
    monkeypatch.setattr(artnet, "MIN_PER_GENERATOR", fewest)
    rows = parts[0]
    if fewest == 10:
        rows = rows[(rows.generator != "grainy") | (rows.path < "grainy-16")].reset_index(drop=True)
        assert (rows.generator == "grainy").sum() == 8
    found = artnet.fit(CONFIG, views, rows, parts[1])
    assert (list(found.families), found.family_head is not None) == (families, bool(families))
