"""Several GPUs at once: each takes an equal share of every batch, and all keep the same weights."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

Devices = Literal["one", "all"]


def named(which: Devices) -> tuple[str, ...]:
    """The devices that share a batch: all GPUs, or all logical CPUs where there is none; empty where one does it."""
    if which == "one":
        return ()
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tuple(device.name for device in found) if len(found) > 1 else ()


def shared_by(names: tuple[str, ...]) -> AbstractContextManager[Any]:
    """Models that are made or loaded in this context train on these devices (`tf.distribute.MirroredStrategy`)."""
    if not names:
        return nullcontext()
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names).scope()
