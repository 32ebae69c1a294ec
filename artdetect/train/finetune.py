"""`finetune`: artnet's net trained on as a whole, its backbone from a block of choice on, by degraded pictures.

The head that artnet finds is where it starts. What it ends with says the probabilities alone: once the backbone has
moved, distances in its embedding no longer are what artnet's novelty and families are made of.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artdetect.core.errors import ConfigError, ModelError
from artdetect.core.progress import Progress
from artdetect.model import backbones
from artdetect.model.feature_cache import Extractor
from artdetect.train import artnet, artnet_model, gradient_training, presets, warm_start
from artdetect.train.heads import Embedding, Head
from artdetect.train.presets import Recipe
from artdetect.train.result import TrainingResult
from artdetect.train.training_loop import Report

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from artdetect.train.config import TrainConfig

EPOCHS, BATCH = 5, 32
LEARNING_RATE = 5e-5
EMA_FRACTION = 0.05  # the weights that are kept are averages over about this share of the training


def train(
    config: "TrainConfig",
    train: "pd.DataFrame",
    validation: "pd.DataFrame",
    work: Path,
    report: Report | None,
    progress: Progress | None,
) -> TrainingResult:
    """Fit artnet's head on cached features, or take up `config.start`, then train on; see `artdetect.train.run`.

    Raises:
        ConfigError: `config.unfreeze` names no block that features depend on.
    """
    extractor = artnet.extractor_of(config)
    backbone(extractor, config.unfreeze)  # an error in it is told before the hours that features may take
    if begin := warm_start.load_initial_weights(config):
        embedding, head, began = *_layers(begin), {"train": begin.key}
    else:
        features = artnet.features(extractor, config.views, train, validation, progress)
        fitted = artnet.fit(config, features, train, validation)
        embedding, head, began = fitted.embedding, fitted.head, fitted.candidates[0]
    epochs = config.epochs or EPOCHS
    recipe = Recipe(
        extractor.geometry,
        crop=None,
        epochs=epochs,
        batch_size=BATCH,
        monitor="val_loss",
        patience=epochs,
        build=lambda: assemble(extractor, embedding, head, config.unfreeze),
        optimizer=optimizer,
        degraded=config.views / (config.views + 1),  # as artnet's head: one of its views is clean
    )
    made = gradient_training.train_recipe(
        warm_start.with_initial_weights(recipe, begin), config, train, validation, work, report, progress
    )
    return replace(made, metrics=made.metrics | {"start": began})


def _layers(begin: warm_start.InitialWeights) -> tuple[Embedding, Head]:
    """The embedding and the head that another finetune ended with."""
    try:
        kernel, _ = begin.weights["embedding"]  # its bias comes with all other weights
        hidden = [begin.weights[name] for name in sorted(begin.weights) if name.startswith("hidden")]
        layers = tuple((kernel, bias) for kernel, bias in [*hidden, begin.weights["probabilities"]])
    except (KeyError, ValueError):
        raise ModelError(f"train.start = {begin.key!r}: its net is no finetune's") from None
    return Embedding(np.zeros(len(kernel), np.float32), kernel), Head(layers)


def optimizer(steps: int) -> "keras.optimizers.Optimizer":
    """AdamW that keeps averages of the weights, which change less from batch to batch than the weights do."""
    return presets.adamw(steps, LEARNING_RATE, use_ema=True, ema_momentum=max(0.0, 1 - 1 / (EMA_FRACTION * steps)))


def assemble(extractor: Extractor, embedding: Embedding, head: Head, unfreeze: str) -> "keras.Model":
    """Pictures float32 [N, H, W, 3] in [0, 1] -> probabilities [N, 2], as artnet's head gives them before training."""
    from keras import Model

    features = backbone(extractor, unfreeze)
    embedded = artnet_model.add_embedding(embedding, features.output, "float32")
    p = artnet_model.add_head(head, embedded, presets.probabilities(), "hidden", "float32")
    return Model(features.input, p, name="finetune")


def backbone(extractor: Extractor, unfreeze: str) -> "keras.Model":
    """`Extractor.build`'s net, whose layers train from the block `unfreeze` on, or "all"; normalisation never does.

    Raises:
        ConfigError: there is no such block, or features do not depend on it.
    """
    from keras import Model, layers, ops

    net = backbones.load(extractor.backbone, extractor.weights)
    taps = backbones.block_outputs(net)
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
