"""Robustness, with a detector whose reaction is known: it looks at how red a picture is on average."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from artdetect import compute, evaluate
from artdetect.compute import ComputeConfig
from artdetect.core import digests
from artdetect.evaluate import robustness
from artdetect.evaluate.robustness import sample
from artdetect.model import cached_scores
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import Detector
from artdetect.pictures.corruptions import CLEAN, GRID
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache
from artdetect.stats.bootstrap import Bootstrap
from tests.evaluate.tables import scored

SIDE = 16
PICTURES = 24
# These do not change a picture of one colour.
FLAT = [
    "PNG",
    "resize 1/2",
    "resize 1/4",
    "blur 1",
    "blur 2",
    "crop 0.8",
    "native crop 0.8",
]


@pytest.fixture(scope="module")
def detector() -> Detector:
    """p(AI) by the mean red minus the mean blue, 0.52 where they are equal; unsure between about 0.27 and 0.73."""
    import keras

    net = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    net.set_weights([np.array([[20.0, 0.0], [0.0, 0.0], [-20.0, 0.0]]), np.array([0.1, 0.0])])
    return Detector(net, "red", Geometry(SIDE, "squash"), {}, DecisionRule(0.5, 0.25, 0.75))


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, PixelCache]:
    """Pictures of one colour each, AI red and human blue."""
    folder, rows = tmp_path_factory.mktemp("colours"), []
    for number in range(PICTURES):
        strong, label = 140 + 3 * number, ("AI", "human")[number % 2]
        colour = (strong, 60, 90) if label == "AI" else (90, 60, strong)
        Image.new("RGB", (SIDE, SIDE), colour).save(path := folder / f"{number:02d}.png")
        rows.append({"path": path.name, "sha256": digests.file_digest(path), "label": label})
    cache = PixelCache(Geometry(SIDE, "squash"), folder / "cache")
    cache.ensure([(row["sha256"], folder / row["path"]) for row in rows])
    return pd.DataFrame(rows), cache


@pytest.fixture(scope="module")
def measured(detector: Detector, pixels: tuple[pd.DataFrame, PixelCache]) -> tuple[dict, pd.DataFrame]:
    return measure(detector, *pixels)


def measure(detector: Detector, table: pd.DataFrame, cache: PixelCache) -> tuple[dict, pd.DataFrame]:
    scores = cached_scores.scores(detector, cache, list(table.sha256))
    sample = evaluate.add_predictions(
        table, detector, scores, np.full(len(table), SIDE), cache.contrasts(list(table.sha256))
    )
    return robustness.robustness_table(detector, cache, sample, Bootstrap(100, 0), lambda done, total: None)


def test_degradations_that_keep_the_mean_colour_change_no_verdict(measured: tuple[dict, pd.DataFrame]) -> None:
    rows = {row["name"]: row for row in measured[0]["rows"]}
    assert list(rows) == [CLEAN, *GRID]
    assert rows[CLEAN]["accuracy"]["value"] == rows[CLEAN]["roc_auc"]["value"] == 1
    wide = measured[1].pivot(index="sha256", columns="condition", values="p_ai")
    for name in FLAT:
        np.testing.assert_allclose(wide[name], wide[CLEAN], rtol=1e-6)
        assert rows[name]["flipped"]["value"] == 0
    assert rows["noise 0.05"]["accuracy"]["value"] == 1


def test_a_picture_without_colour_is_unsure(measured: tuple[dict, pd.DataFrame]) -> None:
    grey = {row["name"]: row for row in measured[0]["rows"]}["greyscale"]
    assert grey["accuracy"]["value"] == grey["flipped"]["value"] == 0.5  # all are predicted as AI
    assert grey["unsure"] == 1
    p_ai = measured[1].p_ai[measured[1].condition == "greyscale"]
    np.testing.assert_allclose(p_ai, 1 / (1 + np.exp(-0.1)), atol=1e-5)


def test_a_picture_that_is_too_small_stays_unsure_under_every_condition(
    detector: Detector, pixels: tuple[pd.DataFrame, PixelCache]
) -> None:
    table, cache = pixels
    strict = replace(detector, rule=replace(detector.rule, min_side=SIDE))
    sides = np.where(np.arange(len(table)) < 3, SIDE - 1, SIDE)
    scores = cached_scores.scores(strict, cache, list(table.sha256))
    sample = evaluate.add_predictions(table, strict, scores, sides, cache.contrasts(list(table.sha256)))
    found = robustness.robustness_table(strict, cache, sample, Bootstrap(100, 0), lambda done, total: None)[1]
    small = found.sha256.isin(table.sha256[:3])
    assert (found.verdict[small] == "unsure").all()
    assert (found.verdict[~small & (found.condition == "PNG")] != "unsure").all()


def test_a_mirrored_picture_has_the_same_mean_colour(detector: Detector) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8)
    np.testing.assert_allclose(detector.p_ai(picture), detector.p_ai(picture[:, :, ::-1]), rtol=1e-5)


def test_the_rows_are_those_of_the_table(measured: tuple[dict, pd.DataFrame]) -> None:
    result, table = measured
    assert list(table.columns) == ["sha256", "label", "condition", "p_ai", "predicted", "verdict"]
    assert len(table) == PICTURES * (len(GRID) + 1)
    clean = table[table.condition == CLEAN].reset_index(drop=True)
    for row in result["rows"]:
        part = table[table.condition == row["name"]].reset_index(drop=True)
        assert row["accuracy"]["value"] == (part.label == part.predicted).mean()
        assert row["roc_auc"]["value"] == pytest.approx(roc_auc_score(part.label == "AI", part.p_ai))
        assert row["flipped"]["value"] == (part.predicted != clean.predicted).mean()
        assert row["unsure"] == (part.verdict == "unsure").mean()
    degraded = table[table.condition != CLEAN]
    assert result["mean_accuracy"]["value"] == pytest.approx((degraded.label == degraded.predicted).mean())
    assert result["mean_accuracy"]["low"] < result["mean_accuracy"]["value"] < result["mean_accuracy"]["high"]
    assert result["clean_accuracy"] == result["rows"][0]["accuracy"]
    assert result["pictures"] == PICTURES


def test_chance_depends_on_content_alone(
    detector: Detector, pixels: tuple[pd.DataFrame, PixelCache], measured: tuple[dict, pd.DataFrame]
) -> None:
    """Not on other pictures, their order, or the number of workers."""
    table, cache = pixels
    with compute.use_compute(ComputeConfig(workers=1)):
        half = measure(detector, table[5:15].sample(frac=1, random_state=0), cache)[1]
    joined = half.merge(measured[1], on=["sha256", "condition"])
    assert len(joined) == len(half)
    np.testing.assert_allclose(joined.p_ai_x, joined.p_ai_y, rtol=1e-6)


def test_each_condition_does_what_its_name_says() -> None:
    rng = np.random.default_rng(0)
    picture = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)).resize((64, 64)))
    outputs = {name: step(picture, np.random.default_rng(0)) for name, step in GRID.items()}
    for name, after in outputs.items():
        assert (after.shape, after.dtype) == (picture.shape, np.uint8)
        assert np.array_equal(after, picture) == (name == "PNG")
    distance = {name: np.abs(after.astype(float) - picture).mean() for name, after in outputs.items()}
    assert distance["JPEG 90"] < distance["JPEG 70"] < distance["JPEG 50"] < distance["JPEG 30"]
    for mild, strong in (("resize 1/2", "resize 1/4"), ("blur 1", "blur 2"), ("noise 0.05", "noise 0.1")):
        assert distance[mild] < distance[strong]
    assert (outputs["greyscale"] == outputs["greyscale"][..., :1]).all()


@pytest.mark.parametrize(
    ("ai", "human", "size", "expected"),
    [(30, 20, 10, (5, 5)), (30, 20, 11, (5, 6)), (30, 3, 10, (7, 3)), (2, 30, 10, (2, 8)), (4, 3, 99, (4, 3)),
     (9, 9, 2, (1, 1)), (9, 9, 1, (0, 0)), (9, 9, 0, (0, 0))],
)  # fmt: skip
def test_half_of_each_class_is_drawn_where_there_are_enough(
    ai: int, human: int, size: int, expected: tuple[int, int]
) -> None:
    table = scored(ai, human)
    drawn = sample(table, size, 1)
    assert ((drawn.label == "AI").sum(), (drawn.label == "human").sum()) == expected
    assert drawn.index.is_monotonic_increasing


def test_the_draw_depends_on_seed_and_content_and_copies_count_once() -> None:
    table = scored(60, 60)
    first = set(sample(table, 20, 1).sha256)
    assert first == set(sample(table.sample(frac=1, random_state=0), 20, 1).sha256)
    assert first != set(sample(table, 20, 2).sha256)
    twice = pd.concat([table, table], ignore_index=True)
    assert sorted(sample(twice, 20, 1).sha256) == sorted(first)
