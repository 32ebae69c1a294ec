"""What surrounds every request: HEAD for every GET, and answers that also reach a client that is still sending."""

import asyncio
import time
from collections.abc import Callable

from artdetect.web.guard import App, Message, Receive, Send

LINGER_SECONDS = 10.0  # how long to go on reading a body that was refused
LINGER_BYTES = 2**30

Observe = Callable[[Message, int, float], None]


class Edge:
    """An ASGI application around the service's own.

    A connection that is closed while the client still sends is reset, and the client never sees why. So what is left of
    a refused body is read and thrown away, after the answer was sent and before it ends.

    Args:
        app: The application.
        observe: Is called after each request with its scope, the status and the seconds that it took.
    """

    def __init__(self, app: App, observe: Observe):
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request; the interface of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, asked, ended = time.monotonic(), 500, False, False

        async def received() -> Message:
            nonlocal asked, ended
            asked = True
            message = await receive()
            ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not message.get("more_body", False) and not ended and _has_body(scope, asked):
                await send({**message, "more_body": True})
                await _drain(receive)
                message = {**message, "body": b""}
            await send(message)

        # uvicorn leaves out the body of an answer to HEAD, by the scope that it made.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await self._app(inner, received, sent)
        finally:
            self._observe(scope, status, time.monotonic() - started)


def _has_body(scope: Message, asked: bool) -> bool:
    """Whether the client is sending a body, or would: with `Expect` it waits until the application asks for it."""
    headers = dict(scope["headers"])
    if b"expect" in headers and not asked:
        return False
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


async def _drain(receive: Receive) -> None:
    read = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while read < LINGER_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
