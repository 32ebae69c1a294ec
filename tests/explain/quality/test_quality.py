"""The measures of explanations, with models whose evidence is known."""

import json
from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest

from artdetect.core.errors import ModelError
from artdetect.explain import quality
from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import Settings
from artdetect.explain.methods.explainer import Explainer
from artdetect.explain.methods.xrai import XRAI
from artdetect.explain.model_score import ExplainedScore
from artdetect.explain.quality.deletion_insertion import (
    blurred,
    correlation,
    deletion_insertion_auc,
    logit_margins,
    normalised_map,
    perturbed,
    pixel_order,
)
from artdetect.explain.quality.parameter_randomisation import randomised_model, rebuilt_for
from tests.explain.conftest import SIZE, patch_detector

PICTURES = 6
STEPS = 9


@pytest.fixture(scope="module")
def images():
    """Pictures with a bright patch each, always in another place, which a strong blur removes."""
    rng = np.random.default_rng(3)
    images = 0.25 + 0.1 * rng.random((PICTURES, SIZE, SIZE, 3))
    for image in images:
        y, x = rng.integers(2, SIZE - 10, 2)
        image[y : y + 8, x : x + 8] = 0.9
    return images.astype(np.float32)


@pytest.fixture(scope="module")
def explainer():
    return XRAI(patch_detector(patch_means=0), steps=8, workers=1)


@pytest.fixture(scope="module")
def explanations(explainer, images):
    return explainer(images)


@pytest.fixture(scope="module")
def found(explainer, images, explanations):
    return quality.check(explainer, images, explanations, seed=1, steps=STEPS)


def constant(height, width):
    """A model for which both classes are equally likely in every picture."""
    model = keras.Sequential(
        [keras.Input((height, width, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    model.set_weights([np.zeros((height * width * 3, 2)), np.zeros(2)])
    return model


def row(found, name):
    return next(one for one in found.rows if one["name"] == name)


def of_maps(explanations, change):
    """Explanations with `change` applied to their heatmaps, without ranks."""
    return [replace(one, heatmap=change(one.heatmap).astype(np.float32), ranks=None) for one in explanations]


def test_a_map_of_the_known_evidence_is_better_than_random_pixels_beyond_chance(found, explanations):
    assert all(one.target == 0 for one in explanations)
    assert [one["name"] for one in found.rows] == list(quality.ROWS)
    against = row(found, quality.RANDOM)["difference"]
    assert against["deletion"]["high"] < 0
    assert against["insertion"]["low"] > 0
    assert against["deletion"]["better"]
    assert against["insertion"]["better"]
    against = row(found, quality.NOISE)["difference"]
    assert against["deletion"]["better"]
    assert against["insertion"]["better"]
    assert found.probability["full"] > 0.9
    assert found.probability["mean colour"] < 0.2
    assert found.probability["blurred"] < 0.3


def test_a_wrong_map_is_worse_than_random_pixels(explainer, images, explanations):
    wrong = of_maps(explanations, np.negative)
    against = row(quality.check(explainer, images, wrong, seed=1, steps=STEPS), quality.RANDOM)["difference"]
    assert against["insertion"]["high"] < 0
    assert against["deletion"]["value"] > 0
    assert not against["deletion"]["better"]
    assert not against["insertion"]["better"]


def test_the_result_is_json_and_finite(found, explainer, explanations):
    result = found.as_dict()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["pictures"], result["seed"], result["steps"]) == (PICTURES, 1, STEPS)
    assert result["config"] == explainer.config
    assert result["rows"][0]["difference"] is None
    assert result["rows"][-1]["correlation"] is None
    assert result["completeness_error"] == pytest.approx(np.mean([one.completeness_error for one in explanations]))
    assert result["mean_abs_score"] == pytest.approx(np.mean([abs(one.score) for one in explanations]))
    for one in result["rows"]:
        for area in quality.AREAS:
            low, high = (-np.inf, np.inf) if area.endswith("_margin") else (0, 1)
            assert low <= one[area]["low"] <= one[area]["value"] <= one[area]["high"] <= high


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(explainer, images, explanations):
    first, again, other = (
        quality.check(explainer, images[:2], explanations[:2], seed=seed, steps=4).as_dict() for seed in (5, 5, 6)
    )
    assert first == again
    assert first["rows"][1]["deletion"] != other["rows"][1]["deletion"]


def test_each_picture_has_chance_of_its_own(explainer, images, explanations):
    twice = quality.check(explainer, images[[0, 0]], [explanations[0]] * 2, seed=1, steps=4)
    assert twice.rows[1]["deletion"]["low"] < twice.rows[1]["deletion"]["high"]


def test_one_picture_has_no_intervals(explainer, images, explanations):
    found = quality.check(explainer, images[:1], explanations[:1], seed=1, steps=4)
    assert found.rows[0]["deletion"]["low"] is found.rows[0]["deletion"]["high"] is None
    assert found.rows[1]["difference"]["deletion"]["better"] is None
    json.dumps(found.as_dict(), allow_nan=False)


def test_no_pictures_or_not_as_many_are_refused(explainer, images, explanations):
    with pytest.raises(ValueError, match="explanations"):
        quality.check(explainer, images[:0], explanations[:0], seed=1)
    with pytest.raises(ValueError, match="explanations"):
        quality.check(explainer, images[:2], explanations[:1], seed=1)
    with pytest.raises(ValueError, match="artworks"):
        quality.check(explainer, images[:2], explanations[:2], seed=1, artworks=[None])
    with pytest.raises(ValueError, match="steps"):
        quality.check(explainer, images[:2], explanations[:2], seed=1, steps=1)
    with pytest.raises(TypeError, match="float32"):
        quality.check(explainer, images[:2].astype(np.float64), explanations[:2], seed=1)


def test_artworks_give_the_controls_their_regions(explainer, images):
    artworks = [np.kron((image * 255).astype(np.uint8), np.ones((3, 2, 1), np.uint8)) for image in images[:2]]
    found = explainer(images[:2], artworks=artworks)
    assert found[0].heatmap.shape == (3 * SIZE, 2 * SIZE)
    checked = quality.check(explainer, images[:2], found, seed=1, steps=STEPS, artworks=artworks)
    insertions = [one["insertion"]["value"] for one in checked.rows]
    assert max(insertions) == insertions[0]


def test_flat_maps_are_left_out_of_the_correlation(explainer, images, explanations):
    flat = of_maps(explanations[:3], lambda heatmap: heatmap)
    one_flat = [replace(flat[0], heatmap=np.full((SIZE, SIZE), 0.3, np.float32)), *flat[1:]]
    found = quality.check(explainer, images[:3], one_flat, seed=1, steps=3)
    assert found.rows[0]["left_out"]["correlation"] == 1
    assert 0 <= found.rows[0]["correlation"]["value"] <= 1
    all_flat = quality.check(explainer, images[:3], of_maps(flat, np.zeros_like), seed=1, steps=3)
    assert all_flat.rows[0]["correlation"] is None
    assert all_flat.rows[0]["left_out"]["correlation"] == 3
    json.dumps(all_flat.as_dict(), allow_nan=False)


def test_the_curves_of_a_model_that_ignores_its_input_are_flat(images):
    score = ExplainedScore(constant(SIZE, SIZE), "logit_margin", 64)
    pixels = np.random.default_rng(0).permutation(SIZE * SIZE)
    found, ends = deletion_insertion_auc(score, images[0], 1, {"any": pixels}, 7)
    flat = {"deletion": 0.5, "insertion": 0.5, "deletion_margin": 0, "insertion_margin": 0}
    assert found["any"] == pytest.approx(flat)
    assert set(ends.values()) == {0.5}


def test_areas_by_hand_of_a_picture_of_two_pixels():
    """The logit of class 1 is 4 times the left pixel's red, and the mean colour's red is 0.5."""
    model = constant(1, 2)
    kernel = np.zeros((6, 2))
    kernel[0, 1] = 4
    model.set_weights([kernel, np.zeros(2)])
    score = ExplainedScore(model, "logit_margin", 8)
    image = np.zeros((1, 2, 3), np.float32)
    image[0, 0, 0] = 1
    full, half = 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(-2))
    found, ends = deletion_insertion_auc(score, image, 1, {"left": np.array([0, 1]), "right": np.array([1, 0])}, 3)
    assert ends["full"] == pytest.approx(full)
    assert ends["mean colour"] == pytest.approx(half)
    assert found["left"]["deletion"] == pytest.approx(full / 4 + half * 3 / 4)
    assert found["right"]["deletion"] == pytest.approx(full * 3 / 4 + half / 4)
    assert found["left"]["insertion"] == pytest.approx(ends["blurred"] / 4 + full * 3 / 4)
    assert found["right"]["insertion"] == pytest.approx(ends["blurred"] * 3 / 4 + full / 4)


def test_pixels_come_in_the_order_of_the_map_and_ties_by_rank_and_then_at_random():
    heatmap = np.array([[1, 3, 1], [3, 2, 1]], np.float32)
    ranks = np.array([[4, 2, 3], [1, 2, 3]], np.int32)
    orders = [pixel_order(heatmap, ranks, (2, 3), np.random.default_rng(seed)) for seed in range(20)]
    assert {tuple(one[[0, 1, 2, 5]]) for one in orders} == {(3, 1, 4, 0)}
    assert {tuple(one[3:5]) for one in orders} == {(2, 5), (5, 2)}


def test_a_region_is_one_tie_when_its_map_is_reduced():
    heatmap = np.full((50, 70), np.float32(1 / 3))
    heatmap[:, 40:] = np.float32(-0.7)
    reduced = normalised_map(heatmap, (SIZE, SIZE))
    assert len(np.unique(reduced[:, :18])) == 1
    assert len(np.unique(reduced[:, 19:])) == 1
    assert normalised_map(heatmap, (1, 1))[0, 0] == -1  # of a map of one value that value is the largest


def test_pixels_are_replaced_in_their_order_and_none_twice():
    start, end = np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)
    pictures = list(perturbed(start, end, np.array([2, 0, 3, 1]), [0, 1, 3, 4]))
    assert [picture[..., 0].ravel().tolist() for picture in pictures] == [
        [0, 0, 0, 0],
        [0, 0, 1, 0],
        [1, 0, 1, 1],
        [1, 1, 1, 1],
    ]
    assert not start.any()


def test_a_blur_keeps_the_mean_colour_and_little_else(images):
    soft = blurred(images[0])
    np.testing.assert_allclose(soft.mean(axis=(0, 1)), images[0].mean(axis=(0, 1)), atol=1e-3)
    assert np.abs(np.diff(soft, axis=1)).max() < 0.1 * np.abs(np.diff(images[0], axis=1)).max()


def test_correlation_is_1_with_itself_and_its_opposite_and_undefined_of_a_flat_map():
    one = np.random.default_rng(0).random((9, 9))
    assert correlation(one, one) == pytest.approx(1)
    assert correlation(one, -np.exp(one)) == pytest.approx(1)
    assert correlation(one, np.random.default_rng(1).random((9, 9))) < 0.4
    assert np.isnan(correlation(one, np.ones((9, 9))))


def test_the_randomised_model_is_another_one_and_leaves_the_true_one_as_it_is(model):
    before = [weight.copy() for weight in model.get_weights()]
    other = randomised_model(model, seed=1)
    for then, now, shuffled in zip(before, model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(then, now)
        np.testing.assert_array_equal(np.sort(then, axis=None), np.sort(shuffled, axis=None))
    assert any((then != now).any() for then, now in zip(before, other.get_weights(), strict=True))
    for one, again in zip(other.get_weights(), randomised_model(model, seed=1).get_weights(), strict=True):
        np.testing.assert_array_equal(one, again)


def test_an_explainer_is_made_again_with_all_its_settings(model):
    baselines = np.zeros((1, SIZE, SIZE, 3), np.float32)
    given = {"target": "probability", "steps": 5, "baselines": baselines, "batch_size": 3, "workers": 1}
    for settings in (given, {"compat": "saliency", "algorithm": "fast"}):
        explainer = XRAI(model, **settings)
        other = rebuilt_for(explainer, randomised_model(model, seed=1))
        assert other.config == explainer.config
        assert other.model is not explainer.model
        assert other.score.batch_size == explainer.score.batch_size


@dataclass(frozen=True)
class BrightnessSettings(Settings):
    """Settings of `Brightness`."""

    method = "brightness"
    complete = False

    target: str = "logit_margin"
    resolution: int = 512
    power: float = 1.0


class Brightness(Explainer):
    """A method without regions and without completeness."""

    settings_class = BrightnessSettings

    def _explain(self, images, targets, artworks):
        heat, targets = images.mean(axis=-1) ** self.config["power"], self._classes(images, targets)
        return [Explanation(heat[n], None, int(targets[n]), 1.0, None, self.config) for n in range(len(images))]


def test_a_method_without_regions_has_no_row_of_them_and_no_completeness(images):
    explainer = Brightness(patch_detector(patch_means=1), power=2.0, target="logit")
    found = quality.check(explainer, images, explainer(images), seed=1, steps=STEPS)
    assert [one["name"] for one in found.rows] == [quality.EXPLANATION, quality.RANDOM, quality.RANDOMISED]
    assert found.completeness_error is None
    assert found.rows[0]["correlation"]["value"] == pytest.approx(1)  # it ignores the model
    assert row(found, quality.RANDOM)["difference"]["insertion"]["better"]
    assert not row(found, quality.RANDOMISED)["difference"]["insertion"]["better"]


class Secretive(Brightness):
    """The same, but its maps depend on something that is not in its settings."""

    def __init__(self, model, *, secret=1.0, **options):
        super().__init__(model, **options)
        self._secret = secret

    @property
    def config(self):
        return {"power": self._secret}


def test_a_method_that_hides_its_settings_is_refused(images):
    explainer = Secretive(patch_detector(patch_means=1), secret=3.0)
    with pytest.raises(TypeError, match="Secretive must keep its settings"):
        quality.check(explainer, images, explainer(images), seed=1, steps=3)


def test_pictures_reach_the_model_a_batch_at_a_time(monkeypatch, images, explanations):
    explainer = XRAI(patch_detector(patch_means=0), steps=8, workers=1, batch_size=4)
    batches, compute = [], ExplainedScore.logits
    monkeypatch.setattr(ExplainedScore, "logits", lambda self, some: batches.append(len(some)) or compute(self, some))
    read = []
    pictures = (read.append(number) or image for number, image in enumerate(images))
    logit_margins(explainer.score, pictures, 0)
    assert batches == [4, 2]
    batches.clear()
    quality.check(explainer, images[:2], explanations[:2], seed=1, steps=STEPS)
    assert max(batches) <= 4
    assert sum(batches) == 2 + 2 * 4 * 2 * STEPS  # the randomised model's explanations, then rows and curves


def test_a_broken_model_is_named(images, explanations):
    model = patch_detector(patch_means=0)
    explainer = XRAI(model, steps=8, workers=1)
    model.get_layer("head").set_weights([np.full((1, 2), np.nan), np.zeros(2)])
    with pytest.raises(ModelError, match="not finite"):
        quality.check(explainer, images, explanations, seed=1, steps=3)


@pytest.mark.parametrize("values", [[0.2, 0.4], [0.1, 0.9, 0.5, 0.5], [1.0, 1.0, 1.0]])
def test_intervals_hold_the_mean_and_stay_in_range(values):
    found = quality.mean_interval(values, seed=1)
    assert found["value"] == pytest.approx(np.mean(values))
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    if len(values) == 2:
        assert (found["low"], found["high"]) == (0, 1)  # two pictures say next to nothing
    assert quality.mean_interval([float("nan")], seed=1) is None
