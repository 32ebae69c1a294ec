"""Chunks come back in order whoever works on them, few at a time, and errors arrive where they belong."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from artdetect import compute
from artdetect.compute import AHEAD, ComputeConfig
from artdetect.errors import ComputeError, DataError


def with_config(config: ComputeConfig, work: Callable[[], Any]) -> Any:
    def run() -> Any:
        compute.use(config)
        return work()

    return copy_context().run(run)


def squares(chunk: tuple[int, ...]) -> list[int]:
    time.sleep(0.001 * (chunk[0] % 3))
    return [number**2 for number in chunk]


def worker(chunk: tuple[int, ...]) -> tuple[int, str]:
    return os.getpid(), threading.current_thread().name


def fail_at_five(chunk: tuple[int, ...]) -> int:
    if 5 in chunk:
        raise DataError("five is broken")
    return sum(chunk)


def die(chunk: tuple[int, ...]) -> None:
    os._exit(9)


def die_at_three(chunk: tuple[int, ...]) -> int:
    if 3 in chunk:
        os._exit(9)
    return 0


@given(st.lists(st.integers()), st.integers(1, 7), st.integers(1, 4))
def test_results_are_those_of_a_loop_in_order(items: list[int], size: int, workers: int) -> None:
    config = ComputeConfig(workers=workers)
    found = with_config(config, lambda: list(compute.chunks(squares, items, size)))
    assert [number for chunk, _ in found for number in chunk] == items
    assert [number for _, result in found for number in result] == [number**2 for number in items]
    assert all(len(chunk) == size for chunk, _ in found[:-1])


def test_processes_do_the_same_and_are_others() -> None:
    config = ComputeConfig(engine="processes", workers=2)
    assert with_config(config, lambda: [r for _, r in compute.chunks(squares, range(6), 2)]) == [
        [0, 1],
        [4, 9],
        [16, 25],
    ]
    (found,) = with_config(config, lambda: list(compute.chunks(worker, [1], 1)))
    assert found[1][0] != os.getpid()


def test_threads_stay_in_this_process() -> None:
    (found,) = compute.chunks(worker, [1], 1)
    assert found[1][0] == os.getpid()
    assert found[1][1].startswith("artdetect")


def test_items_are_taken_as_work_proceeds() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    def few() -> None:
        results = compute.chunks(squares, items(), 10)
        next(results)
        assert len(taken) == AHEAD * 3 * 10
        results.close()

    with_config(ComputeConfig(workers=3), few)
    assert len(taken) == AHEAD * 3 * 10


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_an_error_comes_after_the_chunks_before_it(engine: str) -> None:
    def run() -> None:
        results = compute.chunks(fail_at_five, range(100), 2)
        assert [result for _, result in (next(results), next(results))] == [1, 5]
        with pytest.raises(DataError, match="five is broken"):
            next(results)

    with_config(ComputeConfig(engine=engine, workers=2), run)


def test_a_worker_that_dies_is_one_line() -> None:
    with pytest.raises(ComputeError, match=r"a worker process died.*compute\.workers"):
        with_config(ComputeConfig(engine="processes", workers=1), lambda: list(compute.chunks(die, [1], 1)))


def test_a_worker_that_dies_while_others_wait_is_one_line() -> None:
    def run() -> None:
        for _ in compute.chunks(die_at_three, range(10), 1):
            time.sleep(0.3)

    with pytest.raises(ComputeError, match="a worker process died"):
        with_config(ComputeConfig(engine="processes", workers=1), run)


def test_nothing_to_do_gives_nothing() -> None:
    assert list(compute.chunks(squares, [], 5)) == []


def test_impossible_configs_are_refused() -> None:
    for wrong in ({"engine": "abacus"}, {"workers": 0}, {"threads": 2}):
        with pytest.raises(ValidationError):
            ComputeConfig.model_validate(wrong)
