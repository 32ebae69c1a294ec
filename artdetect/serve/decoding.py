"""Processes that decode pictures, so that one picture cannot delay, exhaust or end the service.

A picture that takes too long ends its process, which is replaced; the others go on. `decode_process` has the limits.
"""

import asyncio
import json
import math
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from artdetect import compute
from artdetect.pictures.images import Geometry
from artdetect.pictures.picture_views import PictureViews
from artdetect.serve import decode_process

WALL_SECONDS = 120.0  # on a busy machine, processor time takes longer
EXIT_SECONDS = 5.0  # until a process whose output has ended has an exit code
MAX_HEADER = 2**20

TOO_SLOW = f"it takes more than {decode_process.CPU_SECONDS} seconds to decode"
ENDED = "decoding it ended the process that tried, as damage or too little memory do"
UNREAD = {"source": "metadata", "claim": "reading them took too much time or memory", "kind": None, "value": ""}


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded picture.

    Args:
        views: What the model judges.
        artwork: The picture for display, uint8 `(H, W, 3)`, if it was asked for.
        declared: What the file declares, as rows of `declared_provenance.Declaration`.
    """

    views: PictureViews
    artwork: np.ndarray | None
    declared: list[dict[str, Any]]


class DecodePool:
    """Some processes, each with one picture at a time. Use it within one event loop.

    Args:
        size: The number of processes; by default one more than there are processors, so that a picture that takes all
            its time leaves the others theirs.
        cpu_seconds: The processor time of a picture.
        max_memory: The memory of a process, in bytes of addresses.
    """

    def __init__(
        self,
        size: int | None = None,
        cpu_seconds: int = decode_process.CPU_SECONDS,
        max_memory: int = decode_process.MAX_MEMORY,
    ):
        self._size = size or compute.processors() + 1
        self._cpu_seconds = cpu_seconds
        self._free: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        self._all = [_Process(max_memory) for _ in range(self._size)]
        for process in self._all:
            self._free.put_nowait(process)
        self.replaced = 0  # processes that a picture ended

    async def start(self) -> None:
        """Start the processes; each also starts with the first picture that needs it."""
        await asyncio.gather(*(process.start() for process in self._all))

    async def close(self) -> None:
        """End the processes."""
        await asyncio.gather(*(process.end() for process in self._all))

    async def decode(self, content: bytes, geometry: Geometry, crops: int, artwork: int = 0) -> Decoded | str:
        """Decode a picture, or say why it cannot be read.

        Args:
            content: The file.
            geometry: The square to convert the whole picture to.
            crops: Native crops of a large picture.
            artwork: The longest side of the picture for display in pixels; 0 for none.
        """
        request = {
            "bytes": len(content),
            "size": geometry.size,
            "fit": geometry.fit,
            "crops": crops,
            "artwork": artwork,
            "cpu_seconds": self._cpu_seconds,
        }
        process = await self._free.get()
        try:
            answer = await process.ask(request, content)
            self.replaced += not process.alive
            return answer
        except TimeoutError:
            self.replaced += 1
            return TOO_SLOW
        except (EOFError, ConnectionError, asyncio.IncompleteReadError):
            self.replaced += 1
            code = await process.end(patience=EXIT_SECONDS)
            return TOO_SLOW if code == -signal.SIGXCPU else ENDED
        finally:
            self._free.put_nowait(process)


class _Process:
    def __init__(self, max_memory: int) -> None:
        self._max_memory = max_memory
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """Whether it is ready for another picture."""
        return self._process is not None

    async def start(self) -> asyncio.subprocess.Process:
        if self._process is None:
            # A BLAS of many threads would take as many stacks out of the memory that decoding has.
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", decode_process.__name__, str(self._max_memory)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # C libraries write text from pictures there
                limit=MAX_HEADER,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C is for the service
            )
        return self._process

    async def end(self, patience: float = 0.0) -> int | None:
        """Kill the process, unless it ends by itself within some seconds; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        if patience:
            with suppress(TimeoutError):
                return await asyncio.wait_for(process.wait(), patience)
        with suppress(ProcessLookupError):
            process.kill()
        return await process.wait()

    async def ask(self, request: dict[str, Any], content: bytes) -> Decoded | str:
        """One answer. After any failure, the process is ended, because what it still writes belongs to no request."""
        process = await self.start()
        assert process.stdin
        assert process.stdout
        try:
            async with asyncio.timeout(WALL_SECONDS):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.write(content)
                await process.stdin.drain()
                line = await process.stdout.readline()
                if not line.endswith(b"\n"):
                    raise EOFError
                header = json.loads(line)
                if "error" in header:
                    return str(header["error"])
                arrays = [await _array(process.stdout, shape) for shape in header["shapes"]]
                declared = await process.stdout.readline()
        except (EOFError, ConnectionError, asyncio.IncompleteReadError):
            raise  # the exit code says why
        except BaseException:
            await self.end()
            raise
        complete = declared.endswith(b"\n")
        if not complete:
            await self.end()
        views = PictureViews(arrays[0], arrays[1], header["side"])
        return Decoded(views, arrays[2] if request["artwork"] else None, json.loads(declared) if complete else [UNREAD])


async def _array(stream: asyncio.StreamReader, shape: list[int]) -> np.ndarray:
    raw = await stream.readexactly(math.prod(shape))
    return np.frombuffer(raw, np.uint8).reshape(shape)
