"""Pictures that take too long or too much memory cost themselves an answer, and nobody else."""

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from artdetect.pictures import images, picture_views
from artdetect.pictures.images import Geometry
from artdetect.serve import decode_process, decoding
from artdetect.serve.decoding import Decoded, DecodePool
from tests.pictures import declared_files, slow_files
from tests.tiny_dataset import jpeg

SQUARE = Geometry(32, "crop")
LARGE = Geometry(4096, "crop")
SLOW = slow_files.scans(16, 13_000)  # within all limits of counts; three seconds, with crops


def with_pool(act: Callable[[DecodePool], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        pool = DecodePool(**options)
        try:
            return await act(pool)
        finally:
            await pool.close()

    return asyncio.run(run())


def test_a_picture_is_the_same_as_without_a_process() -> None:
    async def act(pool: DecodePool) -> None:
        for content in (jpeg(1, side=200), declared_files.FILES["C2PA in PNG"]):
            got = await pool.decode(content, SQUARE, 3, artwork=100)
            expected = picture_views.load(content, SQUARE, 3)
            assert isinstance(got, Decoded)
            np.testing.assert_array_equal(got.views.whole, expected.whole)
            np.testing.assert_array_equal(got.views.crops, expected.crops)
            np.testing.assert_array_equal(got.artwork, np.asarray(images.artwork(content, 100, fit="crop")))
            assert got.views.side == expected.side
        assert [one["value"] for one in got.declared][1:] == ["valid", "trainedAlgorithmicMedia"]
        assert await pool.decode(b"<html>", SQUARE, 0) == "not a picture but a web page or other markup"
        assert "scans" in await pool.decode(slow_files.scans(1000, 13_000), SQUARE, 0)
        assert pool.replaced == 0

    with_pool(act, size=1)


def test_a_picture_that_takes_too_long_ends_its_process_and_no_other() -> None:
    async def act(pool: DecodePool) -> None:
        answers = await asyncio.gather(
            pool.decode(SLOW, LARGE, 3), *(pool.decode(jpeg(seed), SQUARE, 0) for seed in range(6))
        )
        assert answers[0] == decoding.TOO_SLOW
        assert all(isinstance(answer, Decoded) for answer in answers[1:])
        assert pool.replaced == 1
        assert isinstance(await pool.decode(jpeg(1), SQUARE, 0), Decoded)

    with_pool(act, size=2, cpu_seconds=0)


def test_a_process_that_dies_is_replaced() -> None:
    async def act(pool: DecodePool) -> None:
        first = pool._all[0]
        asked = asyncio.create_task(pool.decode(SLOW, LARGE, 3))
        while first._process is None:
            await asyncio.sleep(0.01)
        os.kill(first._process.pid, signal.SIGKILL)
        assert await asked == decoding.ENDED
        assert isinstance(await pool.decode(jpeg(1), SQUARE, 0), Decoded)

    with_pool(act, size=1)


def test_metadata_that_end_the_process_cost_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_process, "__name__", "tests.serve.aborting_decode_process")

    async def act(pool: DecodePool) -> None:
        got = await pool.decode(jpeg(1), SQUARE, 0)
        assert isinstance(got, Decoded)
        np.testing.assert_array_equal(got.views.whole, picture_views.load(jpeg(1), SQUARE, 0).whole)
        assert got.declared == [decoding.UNREAD]
        assert pool.replaced == 1
        assert isinstance(await pool.decode(jpeg(2), SQUARE, 0), Decoded)

    with_pool(act, size=1)


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(pool: DecodePool) -> None:
        assert isinstance(await pool.decode(jpeg(1), SQUARE, 0), Decoded)
        process = pool._all[0]._process
        assert process
        os.kill(process.pid, signal.SIGSTOP)
        monkeypatch.setattr(decoding, "WALL_SECONDS", 0.2)
        assert await pool.decode(jpeg(1), SQUARE, 0) == decoding.TOO_SLOW
        monkeypatch.undo()
        assert isinstance(await pool.decode(jpeg(1), SQUARE, 0), Decoded)

    with_pool(act, size=1)


def test_a_process_has_limits_and_ends_with_the_service() -> None:
    async def act(pool: DecodePool) -> int:
        await pool.start()
        assert isinstance(await pool.decode(jpeg(1), SQUARE, 0), Decoded)
        process = pool._all[0]._process
        assert process
        with open(f"/proc/{process.pid}/limits") as file:  # noqa: PTH123
            limits = file.read()
        assert f"Max address space         {decode_process.MAX_MEMORY}" in limits
        assert "Max file size             0 " in limits
        return process.pid

    pid = with_pool(act, size=1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_reaches_no_network() -> None:
    code = (
        "import socket, sys; from artdetect.serve.decode_process import leave_network; left = leave_network()\n"
        "try: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5); print(left, 'connected')\n"
        "except OSError: print(left, 'refused')"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-c", code, str(listening.getsockname()[1])]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if said == "False connected\n":
        pytest.skip("the kernel lets this user have no network of its own")
    assert said == "True refused\n"

    async def act(pool: DecodePool) -> Path:
        assert isinstance(await pool.decode(jpeg(1), SQUARE, 0), Decoded)
        process = pool._all[0]._process
        assert process
        return Path(f"/proc/{process.pid}/ns/net").readlink()

    assert with_pool(act, size=1) != Path("/proc/self/ns/net").readlink()


def test_a_picture_that_needs_too_much_memory_is_a_reason_and_the_next_one_is_decoded() -> None:
    Image.new("L", (7_000, 7_000)).save(file := io.BytesIO(), "PNG", compress_level=1)  # 196 MB as RGB

    async def act(pool: DecodePool) -> None:
        answer = await pool.decode(file.getvalue(), SQUARE, 0)
        assert isinstance(answer, str)
        assert "memory" in answer
        assert isinstance(await pool.decode(jpeg(1), SQUARE, 0), Decoded)

    with_pool(act, size=1, max_memory=300 * 2**20)


@pytest.mark.slow
def test_the_largest_picture_is_within_the_limits() -> None:
    async def act(pool: DecodePool) -> None:
        assert isinstance(await pool.decode(slow_files.scans(1, 13_000), LARGE, 3), Decoded)

    with_pool(act, size=1)
