"""The evidence of a verdict: exact sums, windows that are what the head says of a part alone, the same verdicts."""

from functools import partial

import keras
import numpy as np
import pytest
from PIL import Image

from artdetect.explain.model_score import ExplainedScore
from artdetect.model import window_grid
from artdetect.model.detector import Detector
from artdetect.model.evidence import ADDITIVE
from artdetect.model.evidence_graph import with_evidence
from artdetect.model.extractor import EPSILON
from artdetect.model.pooled_net import PooledNet
from artdetect.model.window_grid import WindowGrid
from artdetect.pictures import images
from artdetect.pictures.images import Geometry
from artdetect.train import presets
from tests.model.test_head_file import PIXELS, made

each_head = pytest.mark.parametrize("hidden", [(), pytest.param((9, 5), marks=pytest.mark.slow)])


def parts(detector: Detector) -> PooledNet:
    net = PooledNet.of(detector.model)
    assert net is not None
    return net


def features(detector: Detector, activations: list[np.ndarray]) -> np.ndarray:
    """The statistics of activations as the backbone pools them, [N, D]."""
    found = [part for x in activations for part in (x.mean((1, 2)), np.sqrt(x.var((1, 2)) + EPSILON))]
    return np.concatenate(found, axis=-1)


def margins(detector: Detector, features: np.ndarray) -> np.ndarray:
    x = features
    for number, (kernel, bias) in enumerate(parts(detector).layers):
        x = (np.maximum(x, 0) if number else x) @ kernel + bias
    return x[:, 0]


@each_head
def test_the_additive_map_sums_to_what_the_features_add_to_the_margin(hidden: tuple[int, ...]) -> None:
    import tensorflow as tf

    detector = made(hidden, views=1)
    head = ExplainedScore(detector.classifier, "logit_margin", 8)
    margin = head.values(images.to_input(PIXELS), np.zeros(len(PIXELS), np.int64))
    x = tf.constant(detector.features(PIXELS))
    with tf.GradientTape() as tape:
        tape.watch(x)
        p = keras.Model(parts(detector).judged, detector.classifier.output)(x)[:, 0]
        logit = 1.3 * tf.math.log((p - 0.02) / (0.97 - p))  # as the calibration of `made` bounds it
    slope = tape.gradient(logit, x).numpy() / 1.3
    added = (slope * x.numpy()).sum(axis=1)
    additive = detector.evidence(PIXELS).additive
    assert additive is not None
    np.testing.assert_allclose(additive.sum(axis=(1, 2)), added, rtol=1e-2, atol=1e-3)
    if not hidden:
        bias = parts(detector).layers[-1][1][0]
        np.testing.assert_allclose(additive.sum(axis=(1, 2)), margin - bias, atol=1e-3)


@each_head
def test_a_window_says_what_the_head_says_of_its_activations_alone(hidden: tuple[int, ...]) -> None:
    detector = made(hidden, views=1)
    net, grid = parts(detector), WindowGrid(64)
    (side, count), *_ = grid.sides.items()
    found = detector.evidence(PIXELS).windows[side]
    activations = keras.Model(net.picture, [block.activations for block in net.blocks])(images.to_input(PIXELS))
    for row, column in ((0, 0), (2, 6)):
        places = [(place * detector.geometry.size / grid.cells, count * grid.cell) for place in (row, column)]
        inside = []
        for x in map(np.asarray, activations):  # each activation as a square of equal pixels, of 224 in all
            fine = np.repeat(np.repeat(x, 224 // x.shape[1], axis=1), 224 // x.shape[2], axis=2)
            (top, height), (left, width) = ((round(start * 3.5), round(length * 3.5)) for start, length in places)
            inside.append(fine[:, top : top + height, left : left + width])
        np.testing.assert_allclose(found[:, row, column], margins(detector, features(detector, inside)), atol=2e-2)


@pytest.mark.bits
@pytest.mark.parametrize("views", [1, 2])
def test_a_verdict_with_its_evidence_has_the_same_bits(views: int) -> None:
    detector = made((), views=views)
    outputs = detector.evidence_net.outputs(images.to_input(PIXELS))
    scores = detector.scores(PIXELS)
    np.testing.assert_array_equal(outputs["probabilities"][:, 0].astype(np.float64), scores.p_ai)
    np.testing.assert_array_equal(outputs["embedding"].astype(np.float64), scores.embedding)


def test_a_map_is_signed_and_of_one_sign_where_the_whole_picture_speaks_for_one_class() -> None:
    detector = made((), views=1)
    flat = np.full((1, 64, 64, 3), 128, np.uint8)
    found = detector.evidence(flat)
    assert found.margin.shape == (1, 14, 14)
    assert found.cell == pytest.approx(64 / 14)
    assert np.isnan(found.p_ai).all()  # nothing was calibrated
    middle = found.margin[0, 4:10, 4:10]  # away from the padding of the net's convolutions
    assert (np.sign(middle) == np.sign(margins(detector, detector.features(flat))[0])).all()


@pytest.mark.parametrize("size", [32, 64, 224, 512])
def test_windows_cover_every_place_of_pictures_of_any_size(size: int) -> None:
    grid = WindowGrid(size)
    assert grid.cells * grid.cell == pytest.approx(size)
    for side, count in grid.sides.items():
        assert side == round(count * grid.cell)
        assert side < size
        np.testing.assert_allclose(grid.cover(side).sum(axis=1), 1, rtol=1e-6)
        for rows in (1, 7, grid.cells, 27, 112):
            np.testing.assert_allclose(grid.windows(side, rows).sum(axis=1), 1, rtol=1e-5)
            np.testing.assert_allclose(grid.each_cell(rows).sum(axis=0), grid.cells / rows, rtol=1e-5)


@pytest.mark.parametrize(("size", "cells"), [(64, 14), (224, 14), (256, 16), (512, 16)])
def test_windows_of_cells_are_those_of_the_activations(size: int, cells: int) -> None:
    grid = WindowGrid(size)
    assert grid.cells == cells
    activations = np.random.default_rng(0).random((1, size // 8, size // 8, 3), np.float32)
    side = next(iter(grid.sides))
    at_once = window_grid.pooled(activations, partial(grid.windows, side))
    np.testing.assert_allclose(grid.within(grid.reduced(activations), side), at_once, atol=1e-6)


def test_compact_shows_its_class_activations_and_notebook_its_crops() -> None:
    compact = Detector(presets.compact(), "compact", Geometry(64, "crop"), {})
    found = compact.evidence(PIXELS)
    assert found.additive is not None
    assert found.margin.shape == found.additive.shape == (len(PIXELS), 14, 14)
    notebook = Detector(presets.notebook(), "notebook", Geometry(32, "squash"), {})
    outputs = notebook.evidence_net.outputs(images.to_input(PIXELS[:, :32, :32]))
    assert ADDITIVE not in outputs
    found = notebook.evidence_net.evidence(outputs)
    assert found.margin.shape == (len(PIXELS), 8, 8)
    assert set(found.windows) == {8}
    corner = PIXELS[0, :8, :8]
    enlarged = np.asarray(Image.fromarray(corner).resize((32, 32), Image.Resampling.BICUBIC))
    p = notebook.p_ai(enlarged[None])[0]
    assert found.windows[8][0, 0, 0] == pytest.approx(np.log(p / (1 - p)), abs=0.05)


def test_a_net_that_is_built_in_another_way_has_no_pooled_statistics() -> None:
    assert PooledNet.of(presets.notebook()) is None
    assert with_evidence(presets.notebook(), 32) is None
