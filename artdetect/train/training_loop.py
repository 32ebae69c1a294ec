"""The training loop around Keras's `fit`: keeps the best epoch on validation and survives kill -9.

After every epoch the whole state goes to a work folder; a later call with the same folder goes on from there and ends
with the same weights as a training that was never cut off.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core.errors import ModelError
from artdetect.train.distribution import distribution_scope

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from artdetect.train.presets import Precision, Recipe

Row = dict[str, float]
Report = Callable[[Row, int], None]


@dataclass
class FitResult:
    """What came out: the best epoch's weights, and one history row an epoch."""

    weights: list[Any]
    history: list[Row]
    best_epoch: int  # counted from 1, as in the history


def fit(
    recipe: "Recipe",
    batches: "Callable[[int], tf.data.Dataset]",
    validation: "tf.data.Dataset",
    steps: int,
    seed: int,
    work: Path,
    report: Report | None = None,
) -> FitResult:
    """Train `recipe` for its epochs or until its patience ends.

    `batches(first_epoch)` gives the training data from an epoch on, `steps` batches an epoch. `report(row, epochs)` is
    called after each epoch. ModelError if the loss stops being a number.
    """
    import keras

    work.mkdir(parents=True, exist_ok=True)
    with distribution_scope(recipe.devices), precision_policy(recipe.precision):
        state, model = _resumed(work)
        keras.utils.set_random_seed(seed)  # after loading, which draws weights too
        if model is None:
            model = recipe.build()
            optimizer = recipe.optimizer(steps * recipe.epochs)
            model.compile(optimizer, "categorical_crossentropy", weighted_metrics=["accuracy"])
            if not recipe.devices:
                _complete(model, validation)
    done = len(state["history"])
    if done < recipe.epochs and not state["stopped"]:
        keeper = _keeper(state, recipe, seed, work, report)
        model.fit(
            batches(done),
            initial_epoch=done,
            epochs=recipe.epochs,
            steps_per_epoch=steps,
            validation_data=validation,
            callbacks=[keeper],
            shuffle=False,  # the batches come in their own seeded order
            verbose=0,
        )
    with precision_policy(recipe.precision):
        best = keras.models.load_model(work / state["best"])
    best.optimizer.finalize_variable_values(best.trainable_weights)  # their averages, where it keeps any
    return FitResult(best.get_weights(), state["history"], state["best_epoch"])


@contextmanager
def precision_policy(precision: "Precision") -> Iterator[None]:
    """Layers that are made here compute in it; models that are compiled or loaded scale their loss where it asks so."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _complete(model: "keras.Model", batches: "tf.data.Dataset") -> None:
    """Make what else has variables: where Keras makes them in the first step, it traces that step twice."""
    import numpy as np

    model.optimizer.build(model.trainable_variables)
    pictures, labels = (np.zeros((1, *part.shape[1:]), np.float32) for part in batches.element_spec[:2])
    model.compute_metrics(pictures, labels, model(pictures, training=False), np.ones(1, np.float32))
    model.reset_metrics()


def _resumed(work: Path) -> "tuple[dict[str, Any], keras.Model | None]":
    """State and model after the last whole epoch; the start where there is none, or a loss of power damaged it."""
    import keras

    try:
        state = json.loads((work / "state.json").read_text())
        keras.models.load_model(work / state["best"], compile=False)  # not needed yet, but it must be whole
        return state, keras.models.load_model(work / state["last"])
    except Exception:  # Keras raises nearly everything on a damaged file
        return {"history": [], "last": None, "best": None, "best_epoch": 0, "stopped": False}, None


def _keeper(
    state: dict[str, Any], recipe: "Recipe", seed: int, work: Path, report: Report | None
) -> "keras.callbacks.Callback":
    import keras
    import numpy as np

    sign = 1 if recipe.monitor == "val_accuracy" else -1

    class Keeper(keras.callbacks.Callback):
        """The one judge of which epoch is best, where the notebook had two that disagreed.

        Where the optimizer keeps averages of the weights, they are what is validated.
        """

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            for layer in self.model._flatten_layers():  # dropout's random state is in no file
                if generator := getattr(layer, "seed_generator", None):
                    generator.state.assign(np.array([seed, epoch], generator.state.dtype))

        def on_test_begin(self, logs: Any = None) -> None:
            self._trained = self.model.get_weights()
            self.model.optimizer.finalize_variable_values(self.model.trainable_weights)

        def on_test_end(self, logs: Any = None) -> None:
            self.model.set_weights(self._trained)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            for name, shown in (("loss", "training"), ("val_loss", "validation")):
                if not np.isfinite(logs[name]):
                    raise ModelError(
                        f"the {shown} loss is {logs[name]} in epoch {epoch + 1}. Lower the rate or check the data"
                    )
            row = {"epoch": epoch + 1, "rate": float(self.model.optimizer.learning_rate)}
            row |= {name: float(logs[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
            state["history"].append(row)
            state["last"] = f"epoch-{epoch + 1}.keras"
            if (
                state["best"] is None
                or sign * row[recipe.monitor] > sign * state["history"][state["best_epoch"] - 1][recipe.monitor]
            ):
                state["best"], state["best_epoch"] = state["last"], epoch + 1
            state["stopped"] = epoch + 1 - state["best_epoch"] >= recipe.patience
            self.model.stop_training = state["stopped"]
            _write_state(self.model, state, work)
            if report:
                report(row, recipe.epochs)

    return Keeper()


def _write_state(model: "keras.Model", state: dict[str, Any], work: Path) -> None:
    """The model first, then the state that names it, each by an atomic rename; then what neither needs goes."""
    model.save(temporary := work / "saving.keras")
    temporary.replace(work / state["last"])
    (work / "state.tmp").write_text(json.dumps(state))
    (work / "state.tmp").replace(work / "state.json")
    for old in work.glob("epoch-*.keras"):
        if old.name not in (state["last"], state["best"]):
            old.unlink()
