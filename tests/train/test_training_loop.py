"""The training loop keeps the best epoch, counts weights, and continues after an interruption."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artdetect.core.errors import ModelError
from artdetect.pictures import images
from artdetect.train.presets import Recipe, recipe
from artdetect.train.training_loop import FitResult
from tests.train.training_helpers import (
    assert_it_continues,
    assert_same,
    fitted,
    keeping_after,
    linear,
    mean_colour,
    noise,
    normed,
    wild,
)

AVERAGED = {"use_ema": True, "ema_momentum": 0.5}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, FitResult]:
    """A recipe that monitors accuracy, and the result of training it."""
    chosen = wild(0.1, epochs=7, patience=99, monitor="val_accuracy")
    return chosen, fitted(chosen, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, FitResult, Path]:
    """The same with averaged weights, monitoring the loss, and the work folder of a kill after two epochs."""
    chosen, folder = wild(0.1, epochs=7, patience=99, monitor="val_loss", **AVERAGED), tmp_path_factory.mktemp("mean")
    whole = fitted(chosen, folder / "whole", keeping_after(2, folder / "whole", folder / "killed"))
    return chosen, whole, folder / "killed"


@pytest.mark.parametrize("which", ["plain", "averaged"])
def test_the_weights_are_those_of_the_best_epoch_by_the_monitor(which: str, request: pytest.FixtureRequest) -> None:
    chosen, result, *_ = request.getfixturevalue(which)
    monitor = chosen.monitor
    values = [row[monitor] for row in result.history]
    best = max(values) if monitor == "val_accuracy" else min(values)
    assert result.best_epoch == 1 + values.index(best)  # the first of equals
    assert result.best_epoch < len(values)
    model = linear()
    model.set_weights(result.weights)
    pixels, classes = noise()
    p_right = model(images.to_input(pixels[32:])).numpy()[np.arange(16), classes[32:]]
    loss, accuracy = -np.log(p_right).mean(), (p_right > 0.5).mean()
    row = result.history[result.best_epoch - 1]
    assert (loss, accuracy) == pytest.approx((row["val_loss"], row["val_accuracy"]), rel=1e-5)
    assert loss != pytest.approx(result.history[-1]["val_loss"], rel=1e-5)


def test_averaged_weights_are_validated_and_returned_without_changing_the_training(
    plain: tuple[Recipe, FitResult], averaged: tuple[Recipe, FitResult, Path]
) -> None:
    for mine, yours in zip(averaged[1].history, plain[1].history, strict=True):
        assert (mine["loss"], mine["accuracy"]) == (yours["loss"], yours["accuracy"])
        assert mine["val_loss"] != yours["val_loss"]


def by_hand(weights: list[np.ndarray], counts: np.ndarray, rows: slice) -> tuple[float, float]:
    """Loss and accuracy of `mean_colour` with these weights on some pictures of `noise`, weighted by `counts`."""
    pixels, classes = noise()
    scores = np.exp((pixels / 255).mean((1, 2)) @ weights[0] + weights[1])
    p_right = scores[np.arange(48), classes] / scores.sum(1)
    return (
        np.average(-np.log(p_right[rows]), weights=counts[rows]),
        np.average(p_right[rows] > 0.5, weights=counts[rows]),
    )


def test_weights_count_in_loss_and_accuracy_of_training_and_validation(tmp_path: Path) -> None:
    """At learning rate 0 the net stays the same, so numpy can check it."""
    counts = np.concatenate([np.tile([0.25, 1.75], 16), np.tile([1.5, 0.5], 8)])
    chosen = replace(wild(0.0, epochs=1, patience=9), build=mean_colour)
    result = fitted(chosen, tmp_path, weights=counts)
    (row,) = result.history
    for names, rows in ((("loss", "accuracy"), slice(32)), (("val_loss", "val_accuracy"), slice(32, 48))):
        found = [row[name] for name in names]
        assert found == pytest.approx(by_hand(result.weights, counts, rows), rel=1e-5)
        for value, equal in zip(found, by_hand(result.weights, np.ones(48), rows), strict=True):
            assert value != pytest.approx(equal, rel=1e-4)


def test_weights_count_in_the_gradient(tmp_path: Path) -> None:
    """Twice the weight is twice the step, to the bit."""
    double = fitted(wild(0.1, epochs=2, patience=9), tmp_path / "weight", weights=np.full(48, 2.0))
    faster = fitted(wild(0.2, epochs=2, patience=9), tmp_path / "rate")
    for mine, yours in zip(double.weights, faster.weights, strict=True):
        np.testing.assert_array_equal(mine, yours)


def test_it_stops_when_patience_ends(tmp_path: Path) -> None:
    result = fitted(wild(0.1, epochs=30, patience=3), tmp_path)
    assert len(result.history) == result.best_epoch + 3 < 30
    again = fitted(wild(0.1, epochs=30, patience=3), tmp_path)
    assert again.history == result.history


def test_a_loss_that_is_not_finite_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"loss is nan in epoch \d+"):
        fitted(wild(1e38, epochs=5, patience=9), tmp_path)


@pytest.mark.slow
def test_moving_averages_schedule_and_dropout_continue_where_they_were(tmp_path: Path) -> None:
    """Compact's recipe and optimizer with a net that compiles quickly."""
    assert_it_continues(replace(recipe("compact", size=8, crop=6, epochs=3), batch_size=8, build=normed), tmp_path)


@pytest.mark.slow
def test_a_training_in_half_precision_continues_where_it_was(tmp_path: Path) -> None:
    """With averaged weights, and with loss scaling, which bfloat16 does not need."""
    assert_it_continues(replace(wild(0.1, epochs=2, patience=9, **AVERAGED), precision="float16"), tmp_path)


@pytest.mark.slow
def test_half_precision_is_close_to_float32(tmp_path: Path) -> None:
    chosen = replace(wild(0.01, epochs=1, patience=9), build=mean_colour)
    exact = fitted(chosen, tmp_path / "float32")
    for precision in ("bfloat16", "float16"):
        rough = fitted(replace(chosen, precision=precision), tmp_path / precision)
        for name in ("loss", "val_loss"):
            assert rough.history[0][name] == pytest.approx(exact.history[0][name], rel=0.01)
            assert rough.history[0][name] != exact.history[0][name]
        assert {weight.dtype.name for weight in rough.weights} == {"float32"}
        for mine, yours in zip(rough.weights, exact.weights, strict=True):
            np.testing.assert_allclose(mine, yours, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["state.json", "one loss", "last", "best"])
def test_a_work_folder_damaged_by_a_power_failure_only_costs_time(
    damage: str, averaged: tuple[Recipe, FitResult, Path], tmp_path: Path
) -> None:
    chosen, whole, work = averaged
    shutil.copytree(work, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "state.json").read_text()
    state = json.loads(text)["value"]
    if damage == "one loss":
        loss = repr(state["history"][0]["val_loss"])
        (tmp_path / "state.json").write_text(text.replace(loss, loss.replace(loss[0], "9", 1)))
    else:
        (tmp_path / state.get(damage, damage)).write_bytes(b"")
    assert_same(fitted(chosen, tmp_path), whole)
