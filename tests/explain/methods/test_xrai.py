"""XRAI against the saliency package itself and against a model whose evidence is known; its settings."""

import json
from dataclasses import replace

import numpy as np
import pytest

from artdetect.explain.methods.xrai import XRAI
from artdetect.explain.model_score import logits
from artdetect.explain.regions.ranking import rank
from tests.explain.conftest import SIZE, auc, patch_detector, small_model, truth
from tests.explain.synthetic_pictures import mosaic, regions_from_masks

pytestmark = pytest.mark.filterwarnings("error")

QUICK = {"steps": 6, "workers": 2}
CONSTANT = [0.0, 0.4, 1.0]


@pytest.fixture(scope="module")
def quick(model):
    return XRAI(model, **QUICK)


@pytest.fixture(scope="module", params=[None, "saliency"])
def compat(request):
    return request.param


@pytest.fixture(scope="module", params=["full", "fast"])
def any_xrai(model, compat, request):
    """An explainer for each compatibility and algorithm, compiled once."""
    return XRAI(model, compat=compat, algorithm=request.param, **QUICK)


def of_saliency(model, image, target, algorithm, steps, segments=None):
    """Heatmap and ranks that the package gives for the same score."""
    import saliency.core as saliency
    import tensorflow as tf

    network = logits(model)

    def call_model(images, call_model_args=None, expected_keys=None):
        images = tf.convert_to_tensor(images, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(images)
            found = network(images)
            margin = found[:, target] - found[:, 1 - target]
        return {saliency.INPUT_OUTPUT_GRADIENTS: tape.gradient(margin, images).numpy()}

    parameters = saliency.XRAIParameters(steps=steps, algorithm=algorithm, return_xrai_segments=True)
    found = saliency.XRAI().GetMaskWithDetails(
        image, call_model, segments=segments, batch_size=20, extra_parameters=parameters
    )
    return found.attribution_mask, found.segments


def assert_as_saliency(found, expected, expected_ranks):
    assert (found.heatmap.dtype, found.ranks.dtype) == (np.float32, np.int32)
    np.testing.assert_allclose(found.heatmap, expected, rtol=0, atol=1e-6 * np.ptp(expected))
    np.testing.assert_array_equal(found.ranks, expected_ranks)


@pytest.mark.parametrize(
    ("size", "steps", "levels", "cell", "algorithm"),
    [(32, None, 256, 8, "full"), (64, 10, 3, 20, "fast"), (128, 10, 256, 40, "fast"), (256, 10, 256, 90, "full")],
)
def test_compat_gives_heatmap_and_ranks_of_the_saliency_package(size, steps, levels, cell, algorithm):
    model, image = small_model(size, seed=size), mosaic((size, size), levels, cell, seed=size)
    settings = {"steps": steps} if steps else {}
    found = XRAI(model, compat="saliency", algorithm=algorithm, **settings)(image[None], [1])[0]
    assert_as_saliency(found, *of_saliency(model, image, 1, algorithm, steps or 100))


@pytest.mark.parametrize(("seed", "levels", "target"), [(0, 2, 0), (1, 3, 1)])
def test_compat_gives_them_for_any_model_picture_and_class(seed, levels, target):
    model, image = small_model(SIZE, seed), mosaic((SIZE, SIZE), levels, seed + 3, seed)
    found = XRAI(model, compat="saliency", steps=7)(image[None], [target])[0]
    assert_as_saliency(found, *of_saliency(model, image, target, "full", 7))


@pytest.mark.parametrize("algorithm", ["full", "fast"])
def test_given_regions_are_ranked_as_by_the_saliency_package(model, picture, algorithm):
    rows, columns = np.indices((SIZE, SIZE))
    maps = rows // 8, columns // 5
    masks = [labels == label for labels in maps for label in np.unique(labels)]
    found = XRAI(model, compat="saliency", steps=5, algorithm=algorithm)(picture[None], [1])[0]
    for some in (masks, masks[4:]):
        heatmap, ranks = rank(found.attributions.max(axis=-1), regions_from_masks(some), algorithm, 50)
        ranked = replace(found, heatmap=heatmap, ranks=ranks)
        assert_as_saliency(ranked, *of_saliency(model, picture, 1, algorithm, 5, some))


@pytest.mark.parametrize(
    ("patch_means", "settings"),
    [(0, {}), (1, {}), (0, {"compat": "saliency"}), (1, {"algorithm": "fast"}), (1, {"target": "logit"})],
)
def test_the_evidence_of_a_known_model_is_found_for_the_predicted_class(picture, patch_means, settings):
    model = patch_detector(patch_means=patch_means)
    found = XRAI(model, **QUICK, **settings)(picture[None])[0]
    assert found.target == patch_means == model.predict(picture[None], verbose=0)[0].argmax()
    assert auc(found.heatmap, truth()) > 0.9
    assert auc(-found.ranks, truth()) > 0.9
    assert found.ranks[11, 23] == 1
    assert found.score > 0


def test_the_other_class_may_be_named_and_has_the_opposite_evidence(picture):
    xrai = XRAI(patch_detector(patch_means=0), channel_reduce="sum", **QUICK)
    found = xrai(np.stack([picture] * 3), np.array([0, 1, 0]))
    assert [one.target for one in found] == [0, 1, 0]
    assert found[1].score == pytest.approx(-found[0].score)
    assert auc(found[1].heatmap, truth()) < 0.1
    np.testing.assert_allclose(found[1].attributions, -found[0].attributions, atol=1e-7)


def test_an_explanation_says_what_it_explains(model, picture):
    found = XRAI(model, steps=64, baselines="black")(picture[None], [1])[0]
    margin = (logits(model)(picture[None]).numpy()[0] * [-1, 1]).sum()
    assert found.score == pytest.approx(margin, rel=1e-5)
    assert found.attributions.shape == picture.shape
    before = logits(model)(np.zeros_like(picture)[None]).numpy()[0] @ [-1, 1]
    assert found.completeness_error == pytest.approx(abs(found.attributions.sum() - (margin - before)), abs=1e-5)
    assert np.unique(found.ranks).tolist() == list(range(1, found.ranks.max() + 1))
    assert all(np.ptp(found.heatmap[found.ranks == rank]) == 0 for rank in np.unique(found.ranks))


def test_each_way_to_reduce_channels_is_taken(model, picture):
    for name in ("max", "sum", "mean"):
        found = XRAI(model, channel_reduce=name, **QUICK)(picture[None])[0]
        reduced = getattr(found.attributions, name)(axis=2)  # regions average it, which does not change its mean
        assert found.heatmap.mean() == pytest.approx(reduced.mean(), rel=1e-4)


# --- artworks ---


def test_regions_follow_the_artworks_edges(picture):
    artwork = np.kron(picture, np.ones((8, 8, 1)))
    artwork[:, 149:] *= 0.5  # an edge between two pixels of the model's picture
    found = XRAI(patch_detector(patch_means=0), dilation=0, **QUICK)(
        picture[None], artworks=[(artwork * 255).astype(np.uint8)]
    )[0]
    assert auc(found.heatmap, np.kron(truth(), np.ones((8, 8), bool))) > 0.9
    assert (np.diff(found.ranks, axis=1) != 0)[:48, 148:151].any(axis=1).all()


def test_compat_has_no_artworks(model, picture):
    with pytest.raises(ValueError, match="`artworks` must be None"):
        XRAI(model, compat="saliency")(picture[None], artworks=[np.zeros((9, 9, 3), np.uint8)])


# --- pictures without evidence ---


def test_a_picture_of_one_value_is_one_region(any_xrai, compat, quick):
    images = np.stack([np.full((SIZE, SIZE, 3), value, np.float32) for value in CONSTANT])
    for one in any_xrai(images):
        assert np.isfinite(one.heatmap).all()
        assert np.ptp(one.heatmap) == 0
        assert (one.ranks == 1).all()
        assert not (compat and one.heatmap.any())
    artwork = np.full((50, 40, 3), 7, np.uint8)
    assert (quick(images[:1], artworks=[artwork])[0].ranks == 1).all()


def test_plain_pictures_give_finite_maps(any_xrai, picture):
    spot = np.zeros_like(picture)
    spot[3, 4] = 1e-30
    plain = {
        "grey": np.repeat(picture[..., :1], 3, axis=2),
        "one colour": np.broadcast_to(np.float32([1, 0, 0.5]), picture.shape),
        "two values": (picture > 0.5).astype(np.float32),
        "one pixel": spot,
    }
    found = any_xrai(np.stack(list(plain.values())))
    for name, one in zip(plain, found, strict=True):
        assert np.isfinite(one.heatmap).all(), name
        assert one.ranks.min() == 1, name


# --- settings ---


def test_the_config_is_json_and_changes_with_every_setting(model):
    own = np.zeros((2, SIZE, SIZE, 3), np.float32)
    changes = [
        {},
        {"target": "probability"},
        {"target": "logit"},
        {"baselines": "mean"},
        {"baselines": own},
        {"baselines": own + 1},
        {"steps": np.int64(33)},
        {"quadrature": "midpoint"},
        {"algorithm": "fast"},
        {"channel_reduce": "mean"},
        {"dilation": np.float32(3)},
        {"min_region": 51},
        {"resolution": 256},
        {"compat": "saliency"},
    ]
    configs = [json.dumps(XRAI(model, **change).config, sort_keys=True) for change in changes]
    assert len(set(configs)) == len(changes)
    assert json.loads(configs[0])["method"] == "xrai"
    for change in ({"workers": 1}, {"batch_size": 3}, {"steps": 32}):
        assert json.dumps(XRAI(model, **change).config, sort_keys=True) == configs[0]


def test_compat_lets_settings_be_given_besides(model):
    config = XRAI(model, compat="saliency", steps=9, dilation=0).config
    assert (config["steps"], config["dilation"], config["baselines"], config["rule"]) == (9, 0, "min_max", "saliency")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 1),
        ("steps", 2.5),
        ("batch_size", 0),
        ("workers", 0),
        ("workers", True),
        ("dilation", -1),
        ("dilation", float("inf")),
        ("min_region", 0),
        ("min_region", float("nan")),
        ("resolution", 0),
        ("algorithm", "faster"),
        ("target", "class"),
        ("quadrature", "simpson"),
        ("baselines", "grey"),
        ("channel_reduce", "min"),
        ("compat", "captum"),
    ],
)
def test_settings_are_checked_by_name_and_value(model, name, value):
    with pytest.raises(ValueError, match=f"{name}.*Received: {name}={value!r}"):
        XRAI(model, **{name: value})


@pytest.mark.parametrize(
    "baselines",
    [
        np.zeros((1, SIZE, SIZE, 3)),
        np.zeros((SIZE, SIZE, 3), np.float32),
        np.zeros((0, SIZE, SIZE, 3), np.float32),
        np.zeros((1, 8, SIZE, 3), np.float32),
        np.full((1, SIZE, SIZE, 3), 2, np.float32),
        np.full((1, SIZE, SIZE, 3), np.nan, np.float32),
    ],
)
def test_baselines_of_another_kind_are_refused(model, baselines):
    with pytest.raises(ValueError, match=r"`baselines` must be one of .* or float32 \[B, H, W, C\]"):
        XRAI(model, baselines=baselines)


def test_threads_change_no_byte(model, picture):
    images = np.stack([np.roll(picture, number, axis=1) for number in range(5)])
    one, many = (XRAI(model, steps=6, workers=workers)(images) for workers in (1, 4))
    for first, second in zip(one, many, strict=True):
        assert first.heatmap.tobytes() == second.heatmap.tobytes()
        assert first.ranks.tobytes() == second.ranks.tobytes()


def test_the_batch_size_changes_nothing_beyond_rounding(model, picture):
    one, few, many = (XRAI(model, batch_size=size, **QUICK)(picture[None])[0] for size in (1, 5, 64))
    for found in (one, few):
        np.testing.assert_allclose(found.heatmap, many.heatmap, atol=1e-6 * np.ptp(many.heatmap))
        np.testing.assert_array_equal(found.ranks, many.ranks)
