"""The nets and recipes of the presets that are trained from scratch.

`notebook` is the notebook's own: its net at 32x32, its optimizer and its patience, but validated on validation
pictures. `compact` is a fully convolutional residual CNN with less than 1 M parameters. It trains on crops and is
applied to whole pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from artdetect.pictures.images import Geometry
from artdetect.pictures.labels import CLASSES
from artdetect.train.seeding import seeded

if TYPE_CHECKING:
    import keras


Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Recipe:
    """How a preset is trained.

    Args:
        geometry: How pictures become canonical.
        crop: Side of the random training crops in pixels; None for the whole canonical picture.
        epochs: Largest number of epochs.
        batch_size: Pictures per step, over all devices.
        monitor: The metric that determines the best epoch.
        patience: Number of epochs without a better one after which training stops.
        build: Builds the net.
        optimizer: Makes the optimizer for a total number of steps.
        degraded_share: Share of the pictures that train in a degraded view, without other augmentation. None for the
            augmentation of the preset.
        precision: Precision of layers while training. Weights and the loss are float32.
        devices: The devices that share each batch; if empty, TensorFlow chooses one.
    """

    geometry: Geometry
    crop: int | None
    epochs: int
    batch_size: int
    monitor: Literal["val_accuracy", "val_loss"]
    patience: int
    build: Callable[[], "keras.Model"]
    optimizer: Callable[[int], "keras.optimizers.Optimizer"]
    degraded_share: float | None = None
    precision: Precision = "float32"
    devices: tuple[str, ...] = ()

    @property
    def replicas(self) -> int:
        """Number of equal shares that each batch is divided into."""
        return max(1, len(self.devices))


def recipe(
    preset: str, *, seed: int = 0, epochs: int | None = None, size: int | None = None, crop: int | None = None
) -> Recipe:
    """The recipe of a preset, with the settings that the config changes.

    Args:
        preset: "notebook" or "compact".
        seed: Seed of the initial weights and dropout.
        epochs: Largest number of epochs.
        size: Side of canonical pictures in pixels.
        crop: Side of the random training crops of `compact`, in pixels.
    """
    if preset == "notebook":
        geometry = Geometry(size or 32, "squash")
        chosen = Recipe(
            geometry,
            None,
            30,
            64,
            "val_accuracy",
            10,
            lambda: seeded(notebook(geometry.size), seed),
            _notebook_optimizer,
        )
    else:
        geometry = Geometry(size or 224, "crop")
        side = min(crop or 96, geometry.size)
        chosen = Recipe(
            geometry,
            side,
            40,
            32,
            "val_loss",
            40,
            lambda: seeded(compact(), seed),
            lambda steps: adamw(steps, 1e-3, clipnorm=1.0),
        )
    return replace(chosen, epochs=epochs or chosen.epochs)


def notebook(size: int = 32) -> "keras.Model":
    """The notebook's CNN: two convolutions of 64 filters, each pooled, a dense layer of 64, dropout 0.2, softmax."""
    from keras import Input, Sequential
    from keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D

    return Sequential(
        [
            Input((size, size, 3), name="picture"),
            Conv2D(64, 3, activation="relu", name="conv1"),
            MaxPooling2D(name="pool1"),
            Conv2D(64, 3, activation="relu", name="conv2"),
            MaxPooling2D(name="pool2"),
            Flatten(name="flatten"),
            Dense(64, activation="relu", name="dense"),
            Dropout(0.2, name="dropout"),
            probabilities(),
        ],
        name="notebook",
    )


def _notebook_optimizer(steps: int) -> "keras.optimizers.Optimizer":
    """The notebook's Adam. Its decay of 1 % in 14,067 steps hardly changes the learning rate."""
    from keras.optimizers import Adam
    from keras.optimizers.schedules import ExponentialDecay

    return Adam(ExponentialDecay(1e-3, decay_steps=14_067, decay_rate=0.99), clipnorm=1.0)


def compact() -> "keras.Model":
    """A residual CNN of 0.95 M parameters. It starts at full resolution, where generators leave their traces."""
    import keras
    from keras import layers

    picture = keras.Input((None, None, 3), name="picture")
    x = layers.Rescaling(2.0, offset=-1.0, name="center")(picture)
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem")(x)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(momentum=0.9, name="stem_norm")(x))
    for number, (filters, stride) in enumerate([(32, 2), (64, 2), (64, 1), (128, 2), (192, 2)], start=1):
        x = _residual_block(x, filters, stride, f"block{number}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(picture, probabilities()(x), name="compact")


def probabilities() -> "keras.layers.Layer":
    """The last layer. It is float32 in every precision, because the loss takes its logarithm."""
    from keras import config
    from keras.layers import Dense

    dtype = None if config.dtype_policy().name == "float32" else "float32"  # None keeps the model file the same
    return Dense(len(CLASSES), activation="softmax", dtype=dtype, name="probabilities")


def _residual_block(x: "keras.KerasTensor", filters: int, stride: int, name: str) -> "keras.KerasTensor":
    """The basic block of He et al. 2016, with a 1x1 projection where the shape changes."""
    from keras import layers

    shortcut = x
    for part, step in (("a", stride), ("b", 1)):
        x = layers.Conv2D(filters, 3, strides=step, padding="same", use_bias=False, name=f"{name}_conv_{part}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm_{part}")(x)
        if part == "a":
            x = layers.ReLU(name=f"{name}_relu_a")(x)
    if stride != 1 or shortcut.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, strides=stride, use_bias=False, name=f"{name}_project")(shortcut)
        shortcut = layers.BatchNormalization(momentum=0.9, name=f"{name}_project_norm")(shortcut)
    return layers.ReLU(name=f"{name}_relu_b")(layers.Add(name=f"{name}_add")([x, shortcut]))


def adamw(steps: int, rate: float, **options: Any) -> "keras.optimizers.Optimizer":
    """AdamW with linear warm-up to `rate` and cosine decay to zero.

    Args:
        steps: Total number of steps.
        rate: The highest learning rate.
        **options: Further arguments of the Keras optimizer.
    """
    from keras.optimizers import AdamW
    from keras.optimizers.schedules import CosineDecay

    warmup = max(1, steps // 20)
    schedule = CosineDecay(rate / 10, decay_steps=max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup)
    return AdamW(schedule, weight_decay=1e-2, **options)
