"""Weights depend on the seed alone, whatever other threads draw at the same time."""

import random
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from artdetect.train.presets import recipe


@pytest.fixture
def busy() -> Iterator[threading.Event]:
    """While this is set, a thread draws from Python's random generator, as Prefect's threads sometimes do."""
    drawing, ended = threading.Event(), threading.Event()

    def draw() -> None:
        while not ended.is_set():
            drawing.wait(0.01)
            while drawing.is_set():
                random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    yield drawing
    drawing.clear()
    ended.set()
    thread.join()


@pytest.mark.parametrize("preset", ["notebook", pytest.param("compact", marks=pytest.mark.slow)])
def test_a_net_is_the_same_for_a_seed_while_other_threads_draw(preset: str, busy: threading.Event) -> None:
    def weights(seed: int) -> list[np.ndarray]:
        return recipe(preset, seed=seed, size=16).build().get_weights()

    quiet = weights(5)
    busy.set()
    disturbed = weights(5)
    assert all(np.array_equal(mine, yours) for mine, yours in zip(quiet, disturbed, strict=True))
    assert any(not np.array_equal(mine, yours) for mine, yours in zip(quiet, weights(6), strict=True))


def test_dropout_is_seeded_too() -> None:
    def seeds(seed: int) -> list[int]:
        net = recipe("notebook", seed=seed).build()
        return [layer.get_config()["seed"] for layer in net.layers if layer.name == "dropout"]

    assert seeds(5) == seeds(5) != seeds(6)
    assert None not in seeds(5)
