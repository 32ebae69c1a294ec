"""What arrives: how large a body may be, how long it may take, and how much may wait at a time.

A body takes no place in the queue before it is there. If bodies that are still arriving hold too much memory, the one
that began first gives way, as a slow client is the likeliest reason.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from artdetect.serve.problems import Refused

BODY_SECONDS = 60.0  # for the transfer of a body
IDLE_SECONDS = 10.0  # between two parts of it
MAX_PICTURES = 64  # pictures that wait for an answer
MAX_HELD_BODIES = 8  # the memory of all bodies, in bodies of the largest size
RETRY_SECONDS = 2  # what a client is told to wait when the service is busy
BUSY = "the service is busy: try again in a moment"


@dataclass(eq=False)
class _Arriving:
    clock: asyncio.Timeout
    held: int = 0
    displaced: bool = False


class Intake:
    """The bodies and pictures that the service has taken in.

    Args:
        max_bytes: The size of a body up to which it is accepted.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.pictures = 0  # that wait for an answer
        self.held = 0  # bytes of bodies
        self._arriving: dict[_Arriving, None] = {}  # in the order of their beginning

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request; its memory counts until the block ends.

        Raises:
            Refused: It is larger than `max_bytes`, does not arrive in time, or the service is busy.
        """
        if self.pictures >= MAX_PICTURES:  # before the body is read
            raise Refused(503, BUSY, RETRY_SECONDS)
        if int(request.headers.get("content-length", 0)) > self.max_bytes:  # uvicorn has checked that it is a number
            raise self._too_large()
        content = await self._read(request)
        try:
            yield content
        finally:
            self.held -= len(content)

    @contextmanager
    def places(self, number: int) -> Iterator[None]:
        """Places in the queue for some pictures, until the block ends.

        Raises:
            Refused: There are not that many.
        """
        if self.pictures and self.pictures + number > MAX_PICTURES:
            raise Refused(503, BUSY, RETRY_SECONDS)
        self.pictures += number
        try:
            yield
        finally:
            self.pictures -= number

    async def _read(self, request: Request) -> bytes:
        loop = asyncio.get_running_loop()
        parts: list[bytes] = []
        arriving = None
        try:
            async with asyncio.timeout(IDLE_SECONDS) as clock:
                end = loop.time() + BODY_SECONDS
                arriving = _Arriving(clock)
                self._arriving[arriving] = None
                async for part in request.stream():
                    if arriving.displaced:  # it has been told already
                        continue
                    parts.append(part)
                    arriving.held += len(part)
                    self.held += len(part)
                    if arriving.held > self.max_bytes:
                        raise self._too_large()
                    self._make_room()
                    if not arriving.displaced:
                        clock.reschedule(min(end, loop.time() + IDLE_SECONDS))
            content = b"".join(parts)
        except BaseException as error:
            self.held -= arriving.held if arriving else 0
            if isinstance(error, TimeoutError):
                if arriving and arriving.displaced:
                    raise Refused(503, BUSY, RETRY_SECONDS) from None
                raise Refused(
                    408,
                    f"the body did not arrive: the limit is {BODY_SECONDS:.0f} seconds in all, and "
                    f"{IDLE_SECONDS:.0f} without a byte",
                ) from None
            if isinstance(error, ClientDisconnect):
                raise Refused(400, "the connection ended before the body did") from None
            raise
        finally:
            if arriving:
                self._arriving.pop(arriving, None)
        return content

    def _make_room(self) -> None:
        """End the bodies that began first while all hold too much."""
        excess = self.held - MAX_HELD_BODIES * self.max_bytes
        for first in list(self._arriving):
            if excess <= 0:
                return
            if first.held and not first.displaced:
                first.displaced = True
                first.clock.reschedule(0)
                excess -= first.held

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is too large (the limit is {self.max_bytes:,} bytes; --max-upload-mb)")
