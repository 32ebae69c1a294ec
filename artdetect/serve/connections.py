"""Time limits for connections, which uvicorn has none of before a request is complete.

A connection must send the head of a request within HEAD_SECONDS, also after an answer. There are at most
MAX_CONNECTIONS; one more ends the one that has waited longest for its own client, so that connections that send nothing
or little keep nobody out.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from artdetect.web import problems

HEAD_SECONDS = 10.0  # until the head of a request is complete
REQUEST_SECONDS = 300.0  # from then until the whole answer was taken
MAX_CONNECTIONS = 256


class LimitedConnection(H11Protocol):
    """uvicorn's protocol with these limits."""

    _timer: asyncio.TimerHandle | None = None
    since = 0.0  # when this connection began to wait for its client

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._restart_timer()
        if len(self.connections) > MAX_CONNECTIONS:
            waiting = [other for other in self.connections if other is not self and other.waits_for_client]  # type: ignore[union-attr]
            if waiting:
                min(waiting, key=lambda other: other.since).end()  # type: ignore[union-attr]
            else:
                self.end()

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        active = self._active
        super().data_received(data)
        if self._active and not active:
            self._restart_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._restart_timer()

    def send_400_response(self, msg: str) -> None:
        body = problems.body(400, msg)
        head = [(b"content-type", problems.MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
        events = (
            h11.Response(status_code=400, headers=[*head, (b"connection", b"close")], reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def waits_for_client(self) -> bool:
        """Whether it is the client's turn: no request has arrived, or not all of one."""
        return not self._active or self.cycle.more_body

    @property
    def _active(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def end(self) -> None:
        """End the connection at once."""
        self._stop_timer()
        self.transport.abort()

    def _restart_timer(self) -> None:
        self._stop_timer()
        self.since = self.loop.time()
        if not self.transport.is_closing():
            self._timer = self.loop.call_later(REQUEST_SECONDS if self._active else HEAD_SECONDS, self.end)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
