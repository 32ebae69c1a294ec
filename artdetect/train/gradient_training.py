"""Training by gradient descent: the presets `notebook` and `compact`, and the shared part of `finetune`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names
from artdetect.core.progress import with_label
from artdetect.model.probabilities import probabilities
from artdetect.pictures import images
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.train import distribution, input_pipeline, warm_start
from artdetect.train.calibration import Calibration, HeldOutPredictions
from artdetect.train.inputs import TrainingInputs
from artdetect.train.presets import Recipe, recipe
from artdetect.train.result import TrainingResult
from artdetect.train.training_loop import fit

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd

    from artdetect.pictures.pixel_cache import PixelCache

DEGRADED_VIEWS = 2  # of each validation picture, for fitting the temperature in addition to the clean view


def train(inputs: TrainingInputs) -> TrainingResult:
    """Train a preset of `artdetect.train.presets`, see `artdetect.train.run`."""
    config = inputs.config
    scratch = recipe(config.preset, seed=config.seed, epochs=config.epochs, size=config.size, crop=config.crop)
    initial = warm_start.load_initial_weights(config)
    return train_recipe(warm_start.with_initial_weights(scratch, initial), inputs)


def train_recipe(recipe: Recipe, inputs: TrainingInputs) -> TrainingResult:
    """Train by a recipe with the config's seed, precision and devices, and keep the best epoch on validation.

    Loss and accuracy, in training as in validation, weight each picture by the balance's weight. If training uses
    degraded views, validation uses a degraded view of each picture in addition to the clean one.
    """
    import keras
    import pandas as pd

    from artdetect.pictures.pixel_cache import PixelCache

    config = inputs.config
    recipe = replace(recipe, precision=config.precision, devices=distribution.device_names(config.devices))
    recipe = replace(recipe, batch_size=-(-recipe.batch_size // recipe.replicas) * recipe.replicas)
    pixels = PixelCache(recipe.geometry)
    both = pd.concat([inputs.train, inputs.validation])
    pixels.ensure(list(zip(both.sha256, both.file, strict=True)), with_label(inputs.progress, "decoding pictures"))
    train_split, val_split = (_split(pixels, rows) for rows in (inputs.train, inputs.validation))
    fitted = fit(
        recipe,
        lambda first_epoch: input_pipeline.training_batches(train_split, recipe, config.seed, first_epoch),
        input_pipeline.validation_batches(
            val_split, recipe.batch_size, 2 if recipe.degraded_share else 1, recipe.replicas
        ),
        input_pipeline.steps_per_epoch(len(train_split), recipe),
        config.seed,
        inputs.work,
        inputs.on_epoch,
    )
    keras.utils.clear_session(free_memory=False)  # restarts the numbers in automatic names, so they are reproducible
    model = recipe.build()
    model.set_weights(fitted.weights)
    best = fitted.history[fitted.best_epoch - 1]
    metrics: dict[str, Any] = {"epochs": len(fitted.history), "best_epoch": fitted.best_epoch}
    metrics |= {name: round(best[name], 6) for name in ("val_accuracy", "val_loss")}
    validation = validation_predictions(model, val_split, DEGRADED_VIEWS)
    pixels.close()  # TensorFlow keeps what its pipelines read from until the process ends
    return TrainingResult(
        lambda calibration: calibrated(model, calibration),
        recipe.geometry,
        validation,
        validation,
        metrics,
        write_files=lambda out: pd.DataFrame(fitted.history).to_csv(out / file_names.HISTORY, index=False),
    )


def _split(pixels: "PixelCache", rows: "pd.DataFrame") -> input_pipeline.Split:
    classes = rows.label.map(CLASSES.index).to_numpy()
    sha256s = list(rows.sha256)
    return input_pipeline.Split(pixels, pixels.rows(sha256s), classes, rows.weight.to_numpy(), sha256s)


def validation_predictions(
    model: "keras.Model", split: input_pipeline.Split, degraded_views: int
) -> HeldOutPredictions:
    """A model's predictions for the clean view and degraded views of a split.

    Args:
        model: A model whose output is the probabilities [N, 2].
        split: The pictures.
        degraded_views: Number of degraded views.
    """
    import numpy as np

    batch = split.pixels.geometry.max_batch(64)
    logits = np.empty((degraded_views + 1, len(split)))
    for view in range(degraded_views + 1):
        for start in range(0, len(split), batch):
            pictures = np.arange(start, min(start + batch, len(split)))
            pixels = split.read(pictures, np.full(len(pictures), view))
            logits[view, pictures] = _ai_logits(model, images.to_input(pixels))
    return HeldOutPredictions(logits, split.classes, split.weights)


def _ai_logits(model: "keras.Model", x: "np.ndarray") -> "np.ndarray":
    """The logit of AI minus the logit of human for pictures [N, S, S, 3]: float64 [N]."""
    import numpy as np

    p = np.asarray(model(x, training=False), np.float64)
    return np.log(np.maximum(p[:, AI], 1e-30)) - np.log(np.maximum(p[:, HUMAN], 1e-30))


def calibrated(model: "keras.Model", calibration: Calibration) -> "keras.Model":
    """The model, whose last layer is a softmax, with calibrated probabilities."""
    import keras

    last = model.layers[-1]
    logits = keras.layers.Dense(last.units, name="logits")
    outputs = probabilities(logits(last.input), calibration)
    logits.set_weights(last.get_weights())
    return keras.Model(model.inputs[0], outputs, name=model.name)
