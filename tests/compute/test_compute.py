"""Chunks come back in order whatever engine runs them, few at a time, and errors arrive at the right place."""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from artdetect import compute
from artdetect.compute import PREFETCH, ComputeConfig, dask_cluster
from artdetect.compute.processors import VARIABLE
from artdetect.core import installing
from artdetect.core.errors import ComputeError, DataError
from tests.waiting import awaited


def with_config(config: ComputeConfig, work: Callable[[], Any]) -> Any:
    def run() -> Any:
        compute.use_compute(config)
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


def kill_once(mark: Path, chunk: tuple[int, ...]) -> list[int]:
    """The squares; but the first worker that gets a 3 is killed while it works."""
    if 3 in chunk and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return squares(chunk)


def environment(chunk: tuple[int, ...]) -> list[str | None]:
    return [os.environ.get(name) for name in ("ARTDETECT_DATA", VARIABLE, "OMP_NUM_THREADS")]


def interrupted(chunk: tuple[int, ...]) -> list[int]:
    """A terminal sends Ctrl-C to worker processes, too."""
    signal.raise_signal(signal.SIGINT)
    return list(chunk)


def test_ctrl_c_leaves_worker_processes_to_the_one_that_started_them() -> None:
    config = ComputeConfig(engine="processes", workers=1)
    assert with_config(config, lambda: [result for _, result in compute.chunks(interrupted, [1], 1)]) == [[1]]


def die(chunk: tuple[int, ...]) -> None:
    os._exit(9)


def die_at_three(chunk: tuple[int, ...]) -> int:
    if 3 in chunk:
        os._exit(9)
    return 0


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Runs a function with a cluster of two workers on this machine, which all tests of this module share."""
    with compute.ComputeContext(ComputeConfig(engine="dask", workers=2)) as context:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ARTDETECT_DATA", str(tmp_path_factory.mktemp("data")))
            assert context.cluster.threads == 2

        def run(work: Callable[[], Any]) -> Any:
            def within() -> Any:
                compute._CONTEXT.set(context)
                return work()

            return copy_context().run(within)

        yield run


@given(st.lists(st.integers()), st.integers(1, 7), st.integers(1, 4))
def test_results_are_those_of_a_loop_in_order(items: list[int], size: int, workers: int) -> None:
    config = ComputeConfig(workers=workers)
    found = with_config(config, lambda: list(compute.chunks(squares, items, size)))
    assert [number for chunk, _ in found for number in chunk] == items
    assert [number for _, result in found for number in result] == [number**2 for number in items]
    assert all(len(chunk) == size for chunk, _ in found[:-1])


@pytest.mark.slow
def test_processes_give_the_same_results_elsewhere() -> None:
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
        assert len(taken) == PREFETCH * 3 * 10
        results.close()

    with_config(ComputeConfig(workers=3), few)
    assert len(taken) == PREFETCH * 3 * 10


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


@pytest.mark.slow
def test_a_worker_that_dies_while_others_wait_is_one_line() -> None:
    def run() -> None:
        for _ in compute.chunks(die_at_three, range(10), 1):
            time.sleep(0.3)

    with pytest.raises(ComputeError, match="a worker process died"):
        with_config(ComputeConfig(engine="processes", workers=1), run)


def test_nothing_to_do_gives_nothing() -> None:
    assert list(compute.chunks(squares, [], 5)) == []


def test_impossible_configs_are_refused() -> None:
    address = "tcp://scheduler:8786"
    for wrong in ({"engine": "abacus"}, {"workers": 0}, {"threads": 2}, {"engine": "dask", "address": "scheduler"}):
        with pytest.raises(ValidationError):
            ComputeConfig.model_validate(wrong)
    with pytest.raises(ValidationError, match='set engine = "dask" with it, not "threads"'):
        ComputeConfig(address=address)
    assert ComputeConfig(engine="dask", address=address).address == address


@pytest.mark.slow
def test_a_cluster_gives_what_a_loop_gives_in_other_processes(dask: Callable[[Callable[[], Any]], Any]) -> None:
    found = dask(lambda: list(compute.chunks(squares, range(50), 3)))
    assert [number for chunk, _ in found for number in chunk] == list(range(50))
    assert [number for _, result in found for number in result] == [number**2 for number in range(50)]
    workers = {pid for _, (pid, _) in dask(lambda: list(compute.chunks(worker, range(30), 1)))}
    assert len(workers) == 2
    assert os.getpid() not in workers


@pytest.mark.slow
def test_workers_of_a_cluster_know_the_folders_and_their_share_of_the_processors(
    dask: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ((_, (data, share, threads)),) = dask(lambda: list(compute.chunks(environment, [1], 1)))
    assert "data" in data
    assert share == threads == str(max(1, compute.processors() // 2))
    monkeypatch.setenv(VARIABLE, "7")
    assert compute.processors() == 7


@pytest.mark.slow
def test_an_error_on_a_cluster_comes_as_it_is_after_the_chunks_before_it(
    dask: Callable[[Callable[[], Any]], Any],
) -> None:
    def run() -> None:
        results = compute.chunks(fail_at_five, range(100), 2)
        assert [result for _, result in (next(results), next(results))] == [1, 5]
        with pytest.raises(DataError, match="five is broken"):
            next(results)

    dask(run)


@pytest.mark.slow
def test_a_scheduler_by_its_address_and_one_without_workers(dask: Callable[[Callable[[], Any]], Any]) -> None:
    import distributed

    address = dask(lambda: compute._CONTEXT.get().cluster.address)
    with compute.use_compute(ComputeConfig(engine="dask", address=address)) as context:
        assert list(compute.chunks(squares, range(4), 2)) == [((0, 1), [0, 1]), ((2, 3), [4, 9])]
        assert context.workers == 2
    assert dask(lambda: list(compute.chunks(squares, [2], 1))) == [((2,), [4])]  # it is still there
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as empty,
        compute.use_compute(ComputeConfig(engine="dask", address=empty.scheduler_address)),
        pytest.raises(ComputeError, match="has no workers: start some with `dask worker tcp://"),
    ):
        list(compute.chunks(squares, [1], 1))


@pytest.mark.slow
def test_a_killed_worker_of_a_cluster_costs_its_chunk_alone(
    dask: Callable[[Callable[[], Any]], Any], tmp_path: Path
) -> None:
    found = dask(lambda: list(compute.chunks(partial(kill_once, tmp_path / "mark"), range(20), 2)))
    assert (tmp_path / "mark").exists()
    assert [number for _, result in found for number in result] == [number**2 for number in range(20)]


@pytest.mark.slow
def test_a_chunk_that_kills_worker_after_worker_is_one_line(dask: Callable[[Callable[[], Any]], Any]) -> None:
    with pytest.raises(ComputeError, match=r"killed 4 workers, one after the other.*fewer compute\.workers"):
        dask(lambda: list(compute.chunks(die, [1], 1)))
    assert dask(lambda: list(compute.chunks(squares, [2], 1))) == [((2,), [4])]


@pytest.mark.slow
def test_a_worker_with_other_code_refuses(dask: Callable[[Callable[[], Any]], Any]) -> None:
    expected = dask_cluster.environment("artdetect.model.predict")
    assert {"artdetect.model.predict", "artdetect.pictures.images", "pillow", "python"} <= set(expected)
    dask_cluster.check_environment("artdetect.model.predict", expected)
    with pytest.raises(ComputeError, match=r"artdetect\.pictures\.images, pillow differ.*install the same code"):
        dask_cluster.check_environment(
            "artdetect.model.predict", expected | {"artdetect.pictures.images": "0" * 16, "pillow": "1.0"}
        )


@pytest.mark.slow
def test_a_cluster_ends_with_its_block_and_is_started_by_nothing_but_work() -> None:
    with compute.use_compute(ComputeConfig(engine="dask", workers=1)) as context:
        assert compute._CONTEXT.get() is context
        assert list(compute.chunks(squares, [], 5)) == []
        ((_, (pid, _)),) = compute.chunks(worker, [1], 1)
        with compute.use_compute(context.config) as again:
            assert again is context
        assert next(compute.chunks(worker, [1], 1))[1][0] == pid
    assert compute._CONTEXT.get() is not context
    assert awaited(lambda: not Path("/proc", str(pid)).exists())


def test_an_address_where_nobody_answers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_TIMEOUT", 0.5)
    config = ComputeConfig(engine="dask", address="tcp://127.0.0.1:9")
    with pytest.raises(ComputeError, match=r"compute\.address tcp://127\.0\.0\.1:9: no Dask scheduler answers"):
        with_config(config, lambda: list(compute.chunks(squares, [1], 1)))


def test_a_cluster_without_its_packages_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ComputeError, match=re.escape(installing.extra("cluster"))):
        with_config(ComputeConfig(engine="dask"), lambda: list(compute.chunks(squares, [1], 1)))
