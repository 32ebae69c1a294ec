"""The nets that are trained by steps: `notebook` and `compact` from scratch, and by the same way `finetune`'s."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core.progress import Progress, with_label
from artdetect.pictures import images
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.train import distribution, input_pipeline, warm_start
from artdetect.train.calibration import ValidationPredictions
from artdetect.train.presets import Recipe, recipe
from artdetect.train.result import TrainingResult
from artdetect.train.training_loop import Report, fit

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd

    from artdetect.pictures.pixel_cache import PixelCache
    from artdetect.train.config import TrainConfig

DEGRADED = 2  # views of a validation picture that the temperature is fitted on, beside the clean one


def train(
    config: "TrainConfig",
    train: "pd.DataFrame",
    validation: "pd.DataFrame",
    work: Path,
    report: Report | None,
    progress: Progress | None,
) -> TrainingResult:
    """Train a preset of `artdetect.train.presets`; see `artdetect.train.run`."""
    chosen = recipe(config.preset, seed=config.seed, epochs=config.epochs, size=config.size, crop=config.crop)
    return train_recipe(
        warm_start.with_initial_weights(chosen, warm_start.load_initial_weights(config)),
        config,
        train,
        validation,
        work,
        report,
        progress,
    )


def train_recipe(
    recipe: Recipe,
    config: "TrainConfig",
    train: "pd.DataFrame",
    validation: "pd.DataFrame",
    work: Path,
    report: Report | None,
    progress: Progress | None,
) -> TrainingResult:
    """Follow a recipe with the config's seed, precision and devices; keep the best epoch on validation.

    Loss and accuracy, of training and validation alike, count each picture by the balance's weight. Where degraded
    views train, one more view of each picture validates.
    """
    import keras
    import pandas as pd

    from artdetect.pictures.pixel_cache import PixelCache

    chosen = replace(recipe, precision=config.precision, devices=distribution.device_names(config.devices))
    chosen = replace(chosen, batch_size=-(-chosen.batch_size // chosen.shares) * chosen.shares)
    pixels = PixelCache(chosen.geometry)
    both = pd.concat([train, validation])
    pixels.ensure(list(zip(both.sha256, both.file, strict=True)), with_label(progress, "decoding pictures"))
    parts = {name: _part(pixels, rows) for name, rows in (("train", train), ("validation", validation))}
    fitted = fit(
        chosen,
        lambda first_epoch: input_pipeline.training(parts["train"], chosen, config.seed, first_epoch),
        input_pipeline.whole(parts["validation"], chosen.batch_size, 2 if chosen.degraded else 1, chosen.shares),
        input_pipeline.steps_per_epoch(len(train), chosen),
        config.seed,
        work,
        report,
    )
    keras.utils.clear_session(free_memory=False)  # names of what has none are counted: always the same ones
    model = chosen.build()
    model.set_weights(fitted.weights)
    best = fitted.history[fitted.best_epoch - 1]
    metrics: dict[str, Any] = {"epochs": len(fitted.history), "best_epoch": fitted.best_epoch}
    metrics |= {name: round(best[name], 6) for name in ("val_accuracy", "val_loss")}
    return TrainingResult(
        lambda temperature: calibrated(model, temperature),
        chosen.geometry,
        validated(model, parts["validation"], DEGRADED),
        metrics,
        write=lambda out: pd.DataFrame(fitted.history).to_csv(out / "history.csv", index=False),
    )


def _part(pixels: "PixelCache", rows: "pd.DataFrame") -> input_pipeline.Split:
    classes = rows.label.map(CLASSES.index).to_numpy()
    sha256s = list(rows.sha256)
    return input_pipeline.Split(pixels, pixels.rows(sha256s), classes, rows.weight.to_numpy(), sha256s)


def validated(model: "keras.Model", part: input_pipeline.Split, degraded: int) -> ValidationPredictions:
    """What a model with probabilities [N, 2] as its output says of the clean view and `degraded` more of a part."""
    import numpy as np

    batch = part.pixels.geometry.fitting(64)
    margins = np.empty((degraded + 1, len(part)))
    for number in range(degraded + 1):
        for start in range(0, len(part), batch):
            pictures = np.arange(start, min(start + batch, len(part)))
            seen = part.seen(pictures, np.full(len(pictures), number))
            margins[number, pictures] = _margins(model, images.to_input(seen))
    return ValidationPredictions(margins, part.classes, part.weights)


def _margins(model: "keras.Model", x: "np.ndarray") -> "np.ndarray":
    import numpy as np

    p = np.asarray(model(x, training=False), np.float64)
    return np.log(np.maximum(p[:, AI], 1e-30)) - np.log(np.maximum(p[:, HUMAN], 1e-30))


def calibrated(model: "keras.Model", temperature: float) -> "keras.Model":
    """The model with its logits, before the softmax of its last layer, divided by `temperature`."""
    import keras

    last = model.layers[-1]
    logits = keras.layers.Dense(last.units, name="logits")
    divided = keras.layers.Rescaling(1 / temperature, name="temperature")(logits(last.input))
    probabilities = keras.layers.Softmax(name="probabilities")(divided)
    logits.set_weights(last.get_weights())
    return keras.Model(model.inputs[0], probabilities, name=model.name)
