"""`finetune`: continues the training of artnet's net, including its backbone from a chosen block on, on degraded views.

It starts from the head that artnet fits. The resulting model gives probabilities only: once the backbone has changed,
the embedding no longer supports artnet's novelty and generator families.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from artdetect.core.errors import ConfigError, ModelError
from artdetect.model import artnet_model, backbones
from artdetect.model.extractor import Extractor
from artdetect.train import artnet, gradient_training, presets, warm_start
from artdetect.train.heads import Embedding, Head
from artdetect.train.inputs import TrainingInputs
from artdetect.train.presets import Recipe
from artdetect.train.result import TrainingResult

if TYPE_CHECKING:
    import keras

EPOCHS, BATCH = 5, 32
LEARNING_RATE = 5e-5
EMA_FRACTION = 0.05  # the final weights are averages over about this share of the training


def train(inputs: TrainingInputs) -> TrainingResult:
    """Fit artnet's head on cached features, or load `train.initial_weights`, and continue with gradient descent.

    See `artdetect.train.run`.

    Raises:
        ConfigError: `train.unfreeze` names no block that features depend on.
    """
    config, train, validation = inputs.config, inputs.train, inputs.validation
    extractor = artnet.make_extractor(config)
    backbone(extractor, config.unfreeze)  # raises its errors now, before the hours that features may take
    initial = warm_start.load_initial_weights(config)
    if initial:
        embedding, head, start = *_embedding_and_head(initial), {"train": initial.key}
    else:
        features = artnet.cached_features(extractor, config.degraded_views, train, validation, inputs.progress)
        fitted = artnet.fit(config, features, train, validation)
        embedding, head, start = fitted.embedding, fitted.head, fitted.candidates[0]
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
        degraded_share=config.degraded_views / (config.degraded_views + 1),  # as for artnet's head: one view is clean
    )
    result = gradient_training.train_recipe(warm_start.with_initial_weights(recipe, initial), inputs)
    return replace(result, metrics=result.metrics | {"start": start})


def _embedding_and_head(initial: warm_start.InitialWeights) -> tuple[Embedding, Head]:
    """The embedding and the head of an earlier finetune model."""
    weights = initial.weights
    try:
        kernel, _ = weights["embedding"]  # its bias is set with all other weights
        hidden = [weights[name] for name in sorted(weights) if name.startswith("hidden")]
        layers = tuple((kernel, bias) for kernel, bias in [*hidden, weights["probabilities"]])
    except (KeyError, ValueError):
        raise ModelError(f"train.initial_weights = {initial.key!r}: its net is not that of a finetune model") from None
    return Embedding(np.zeros(len(kernel), np.float32), kernel), Head(layers)


def optimizer(steps: int) -> "keras.optimizers.Optimizer":
    """AdamW with an exponential moving average of the weights, which varies less from batch to batch."""
    return presets.adamw(steps, LEARNING_RATE, use_ema=True, ema_momentum=max(0.0, 1 - 1 / (EMA_FRACTION * steps)))


def assemble(extractor: Extractor, embedding: Embedding, head: Head, unfreeze: str) -> "keras.Model":
    """Pictures float32 [N, H, W, 3] in [0, 1] -> probabilities [N, 2], before training the same as artnet's.

    Args:
        extractor: How features are extracted.
        embedding: From features to embeddings.
        head: From embeddings to logits.
        unfreeze: The first block that is trained, or "all".
    """
    from keras import Model

    features = backbone(extractor, unfreeze)
    embedded = artnet_model.add_embedding(embedding, features.output, "float32")
    p = artnet_model.add_head(head, embedded, presets.probabilities(), "hidden", "float32")
    return Model(features.input, p, name="finetune")


def backbone(extractor: Extractor, unfreeze: str) -> "keras.Model":
    """The net of `Extractor.build`, trainable from the block `unfreeze` on, or "all". Normalisation is never trained.

    Raises:
        ConfigError: There is no such block, or features do not depend on it.
    """
    from keras import Model, layers, ops

    net = backbones.load(extractor.backbone, extractor.weights, extractor.geometry.size)
    outputs = backbones.block_outputs(net)
    names = list(outputs)
    if unfreeze not in ("all", *names):
        raise ConfigError(f"train.unfreeze = {unfreeze!r} is not usable. Choose all, {', '.join(names)}")
    first = 0 if unfreeze == "all" else names.index(unfreeze)
    frozen = set(Model(net.input, outputs[names[first - 1]]).operations) if first else set()
    for operation in net.operations:
        if isinstance(operation, layers.Layer):
            operation.trainable = operation not in frozen and not isinstance(operation, layers.BatchNormalization)
    as_float32 = {name: x if x.dtype == "float32" else ops.cast(x, "float32") for name, x in outputs.items()}
    model = Model(net.input, extractor.statistics(as_float32), name="features")
    if not model.trainable_weights:
        raise ConfigError(
            f"train.unfreeze = {unfreeze!r} is not usable: it comes after the last of train.feature_blocks"
        )
    return model
