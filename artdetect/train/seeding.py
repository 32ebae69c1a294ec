"""Makes a net's random numbers depend on one seed alone."""

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def seeded(net: "keras.Model", seed: int) -> "keras.Model":
    """A copy of the net whose initial weights and dropout are determined by `seed`.

    Where no seed is given, Keras takes one from Python's global random generator. `keras.utils.set_random_seed` is not
    enough, since other threads, such as Prefect's, may use that generator in between.
    """
    draws = random.Random(seed)

    def with_seeds(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: draws.randint(1, 10**9) if name == "seed" and part is None else with_seeds(part)
                for name, part in value.items()
            }
        return [with_seeds(part) for part in value] if isinstance(value, list | tuple) else value

    return type(net).from_config(with_seeds(net.get_config()))
