"""Several GPUs at once: each takes an equal share of every batch, and all keep the same weights."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import tensorflow as tf

Devices = Literal["one", "all"]


def device_names(which: Devices) -> tuple[str, ...]:
    """The devices that share a batch: all GPUs, or all logical CPUs where there is none; empty where one does it."""
    if which == "one":
        return ()
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tuple(device.name for device in found) if len(found) > 1 else ()


def distribution_scope(names: tuple[str, ...]) -> AbstractContextManager[Any]:
    """Models that are made or loaded in this context train on these devices, or on one where none are named.

    A device normalises, drops out and clips gradients by its own share of a batch, as Keras does.
    """
    return _strategy(names).scope() if names else nullcontext()


@lru_cache
def _strategy(names: tuple[str, ...]) -> "tf.distribute.Strategy":
    """One a process: a second would number its reductions like the first, and TensorFlow confuses them."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names)
