"""Training on several GPUs: each processes an equal share of every batch, and all hold the same weights."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import tensorflow as tf

Devices = Literal["one", "all"]


def device_names(which: Devices) -> tuple[str, ...]:
    """The devices that share each batch: all GPUs, or all logical CPUs without a GPU. Empty for a single device."""
    if which == "one":
        return ()
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tuple(device.name for device in devices) if len(devices) > 1 else ()


def distribution_scope(names: tuple[str, ...]) -> AbstractContextManager[Any]:
    """Models built or loaded in this context train on these devices, or on one device if there are no names.

    As usual in Keras, each device normalises, applies dropout and clips gradients within its own share of a batch.
    """
    return _strategy(names).scope() if names else nullcontext()


@lru_cache
def _strategy(names: tuple[str, ...]) -> "tf.distribute.Strategy":
    """One strategy per process: a second one would reuse the numbers of reductions, and TensorFlow confuses them."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names)
