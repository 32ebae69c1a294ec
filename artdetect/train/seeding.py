"""Nets whose random numbers depend on a seed alone."""

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def seeded(net: "keras.Model", seed: int) -> "keras.Model":
    """The same net anew: initial weights and dropout are drawn by `seed`.

    Keras draws a seed that nobody named from Python's global generator. `keras.utils.set_random_seed` is not enough, as
    other threads, such as Prefect's, may take numbers from that generator meanwhile.
    """
    draws = random.Random(seed)

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: draws.randint(1, 10**9) if name == "seed" and part is None else named(part)
                for name, part in value.items()
            }
        return [named(part) for part in value] if isinstance(value, list | tuple) else value

    return type(net).from_config(named(net.get_config()))
