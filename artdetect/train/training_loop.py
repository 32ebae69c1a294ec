"""The training loop around Keras's `fit`: keeps the best epoch on validation and survives kill -9.

After every epoch the whole state is written to a work folder. A later call with the same folder continues from there
and ends with the same weights as an uninterrupted training.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import json_cache
from artdetect.core.errors import ModelError
from artdetect.train.distribution import distribution_scope

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from artdetect.train.presets import Precision, Recipe

HistoryRow = dict[str, float]  # epoch, rate, loss, accuracy, val_loss, val_accuracy
EpochCallback = Callable[[HistoryRow, int], None]  # called with the row and the number of epochs


@dataclass
class FitResult:
    """The best epoch's weights, and one history row per epoch."""

    weights: list[Any]
    history: list[HistoryRow]
    best_epoch: int  # counted from 1, as in the history


def fit(
    recipe: "Recipe",
    batches: "Callable[[int], tf.data.Dataset]",
    validation: "tf.data.Dataset",
    steps: int,
    seed: int,
    work: Path,
    on_epoch: EpochCallback | None = None,
) -> FitResult:
    """Train `recipe` for its epochs or until its patience ends.

    Args:
        recipe: What to train and how.
        batches: Gives the training data from an epoch on, counted from 0.
        validation: The validation batches.
        steps: Batches per epoch.
        seed: Seed of dropout.
        work: Folder for the state between epochs.
        on_epoch: Called with (row, epochs) after each epoch.

    Raises:
        ModelError: A loss is not finite.
    """
    import keras

    work.mkdir(parents=True, exist_ok=True)
    with distribution_scope(recipe.devices), precision_policy(recipe.precision):
        state, model = _resume(work)
        keras.utils.set_random_seed(seed)  # after loading, which also draws random weights
        if model is None:
            model = recipe.build()
            optimizer = recipe.optimizer(steps * recipe.epochs)
            model.compile(optimizer, "categorical_crossentropy", weighted_metrics=["accuracy"])
            if not recipe.devices:
                _build_variables(model, validation)
    done = len(state["history"])
    if done < recipe.epochs and not state["stopped"]:
        checkpoints = _checkpoint_callback(state, recipe, seed, work, on_epoch)
        model.fit(
            batches(done),
            initial_epoch=done,
            epochs=recipe.epochs,
            steps_per_epoch=steps,
            validation_data=validation,
            callbacks=[checkpoints],
            shuffle=False,  # the batches have their own seeded order
            verbose=0,
        )
    with precision_policy(recipe.precision):
        best = keras.models.load_model(work / state["best"])
    best.optimizer.finalize_variable_values(
        best.trainable_weights
    )  # sets the averaged weights, if the optimizer averages
    return FitResult(best.get_weights(), state["history"], state["best_epoch"])


@contextmanager
def precision_policy(precision: "Precision") -> Iterator[None]:
    """Layers built in this context use this precision. Models compiled or loaded in it scale the loss if needed."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _build_variables(model: "keras.Model", batches: "tf.data.Dataset") -> None:
    """Create the variables of optimizer and metrics: if the first step creates them, Keras traces it twice."""
    import numpy as np

    model.optimizer.build(model.trainable_variables)
    pictures, labels = (np.zeros((1, *part.shape[1:]), np.float32) for part in batches.element_spec[:2])
    model.compute_metrics(pictures, labels, model(pictures, training=False), np.ones(1, np.float32))
    model.reset_metrics()


def _resume(work: Path) -> "tuple[dict[str, Any], keras.Model | None]":
    """State and model after the last complete epoch, or a fresh start if there is none or the files are damaged."""
    import keras

    try:
        state = json_cache.loads((work / "state.json").read_bytes())
        keras.models.load_model(work / state["best"], compile=False)  # needed at the end, so it must be intact
        return state, keras.models.load_model(work / state["last"])
    except Exception:  # Keras raises all kinds of errors on a damaged file
        return {"history": [], "last": None, "best": None, "best_epoch": 0, "stopped": False}, None


def _checkpoint_callback(
    state: dict[str, Any], recipe: "Recipe", seed: int, work: Path, on_epoch: EpochCallback | None
) -> "keras.callbacks.Callback":
    import keras
    import numpy as np

    sign = 1 if recipe.monitor == "val_accuracy" else -1

    class CheckpointBestEpoch(keras.callbacks.Callback):
        """Decides which epoch is best and writes the state. The notebook had two such callbacks, which disagreed.

        If the optimizer averages the weights, the averages are validated.
        """

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            for layer in self.model._flatten_layers():  # dropout's random state is not in the model file
                if generator := getattr(layer, "seed_generator", None):
                    generator.state.assign(np.array([seed, epoch], generator.state.dtype))

        def on_test_begin(self, logs: Any = None) -> None:
            self._trained = self.model.get_weights()
            self.model.optimizer.finalize_variable_values(self.model.trainable_weights)

        def on_test_end(self, logs: Any = None) -> None:
            self.model.set_weights(self._trained)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            for name, split in (("loss", "training"), ("val_loss", "validation")):
                if not np.isfinite(logs[name]):
                    raise ModelError(
                        f"the {split} loss is {logs[name]} in epoch {epoch + 1}. Lower the learning rate, or check the "
                        "data"
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
            if on_epoch:
                on_epoch(row, recipe.epochs)

    return CheckpointBestEpoch()


def _write_state(model: "keras.Model", state: dict[str, Any], work: Path) -> None:
    """Write the model, then the state that names it, each with an atomic rename. Then delete outdated models."""
    model.save(temporary := work / "saving.keras")
    temporary.replace(work / state["last"])
    (work / "state.tmp").write_text(json_cache.dumps(state))
    (work / "state.tmp").replace(work / "state.json")
    for old in work.glob("epoch-*.keras"):
        if old.name not in (state["last"], state["best"]):
            old.unlink()
