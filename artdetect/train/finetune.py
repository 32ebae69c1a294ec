"""`finetune`: artnet's net trained on as a whole, its backbone from a block of choice on, by degraded pictures.

The head that artnet finds is where it starts. What it ends with says the probabilities alone: once the backbone has
moved, distances in its embedding no longer are what artnet's novelty and families are made of.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect import backbones
from artdetect.errors import ConfigError
from artdetect.features import Extractor
from artdetect.progress import Progress
from artdetect.train import artnet, net, presets, scratch
from artdetect.train.fit import Report
from artdetect.train.presets import Recipe
from artdetect.train.trained import Trained

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from artdetect.train import TrainConfig

EPOCHS, BATCH = 5, 32
RATE = 5e-5
AVERAGED = 0.05  # the weights that are kept are averages over about this share of the training


def train(
    config: "TrainConfig",
    train: "pd.DataFrame",
    validation: "pd.DataFrame",
    work: Path,
    report: Report | None,
    progress: Progress | None,
) -> Trained:
    """Fit artnet's head on cached features, then train on; see `artdetect.train.run`.

    Raises:
        ConfigError: `config.unfreeze` names no block that features depend on.
    """
    extractor = artnet.extractor_of(config)
    backbone(extractor, config.unfreeze)  # an error in it is told before the hours that features may take
    features = artnet.features(extractor, config.views, train, validation, progress)
    start = artnet.fit(config, features, train, validation)
    epochs = config.epochs or EPOCHS
    recipe = Recipe(
        extractor.geometry,
        crop=None,
        epochs=epochs,
        batch_size=BATCH,
        monitor="val_loss",
        patience=epochs,
        build=lambda: assemble(extractor, start, config.unfreeze),
        optimizer=optimizer,
        degraded=config.views / (config.views + 1),  # as artnet's head: one of its views is clean
    )
    made = scratch.by_steps(recipe, config, train, validation, work, report, progress)
    return replace(made, metrics=made.metrics | {"start": start.candidates[0]})


def optimizer(steps: int) -> "keras.optimizers.Optimizer":
    """AdamW that keeps averages of the weights, which change less from batch to batch than the weights do."""
    return presets.adamw(steps, RATE, use_ema=True, ema_momentum=max(0.0, 1 - 1 / (AVERAGED * steps)))


def assemble(extractor: Extractor, start: artnet.Fitted, unfreeze: str) -> "keras.Model":
    """Pictures float32 [N, H, W, 3] in [0, 1] -> probabilities [N, 2], as artnet's head gives them before training."""
    from keras import Model

    features = backbone(extractor, unfreeze)
    embedded = net.embed(start.embedding, features.output, "float32")
    p = net.judge(start.head, embedded, presets.probabilities(), "hidden", "float32")
    return Model(features.input, p, name="finetune")


def backbone(extractor: Extractor, unfreeze: str) -> "keras.Model":
    """`Extractor.build`'s net, whose layers train from the block `unfreeze` on, or "all"; normalisation never does.

    Raises:
        ConfigError: there is no such block, or features do not depend on it.
    """
    from keras import Model, layers, ops

    net = backbones.load(extractor.backbone, extractor.weights)
    taps = backbones.taps(net)
    names = list(taps)
    if unfreeze not in ("all", *names):
        raise ConfigError(f"train.unfreeze = {unfreeze!r} is not usable: there are all, {', '.join(names)}")
    place = 0 if unfreeze == "all" else names.index(unfreeze)
    before = taps[names[place - 1]] if place else None
    trains = before is None
    for operation in net.operations:
        if isinstance(operation, layers.Layer):
            operation.trainable = trains and not isinstance(operation, layers.BatchNormalization)
        trains = trains or operation.output is before
    exact = {name: x if x.dtype == "float32" else ops.cast(x, "float32") for name, x in taps.items()}
    model = Model(net.input, extractor.statistics(exact), name="features")
    if not model.trainable_weights:
        raise ConfigError(f"train.unfreeze = {unfreeze!r} is not usable: it lies behind the last of train.blocks")
    return model
