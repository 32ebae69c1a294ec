"""The check in front of every web service: which Host and Origin a request may name, and the security headers.

A page of any web site can make the browser send requests to 127.0.0.1. The browser names that site in the Origin
header, unless the site's own name was made to point to 127.0.0.1 (DNS rebinding); then the Host header has its name.
"""

import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from artdetect.web import access, problems

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"  # a policy for data
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
WRONG_HOST = "This service does not answer to the name in the Host header. ARTDETECT_HOSTS can add names."
WRONG_ORIGIN = "This service takes no requests from pages of another origin."
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:\d+)?")


class Guard:
    """An ASGI application that refuses requests, and adds the security headers to every response.

    It answers 403 to a Host that is not a name of the service, and to an Origin other than the service's own. A service
    that listens for other machines also answers to any IP address: no page can make a browser send a false one.

    Args:
        app: The application.
        policy: The Content-Security-Policy of its pages, unless a response has its own.
        host: The address that the service listens on.
    """

    def __init__(self, app: App, policy: str = NOTHING, host: str = access.HOST):
        self._app = app
        self._names = access.names(host)
        self._any_address = not _is_loopback(host)
        self._headers = [
            (name.lower().encode(), value.encode())
            for name, value in ({"Content-Security-Policy": policy} | HEADERS).items()
        ]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request; the interface of ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [pair for pair in self._headers if pair[0] not in names]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, secured)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        else:
            body = problems.body(403, refusal)
            headers = [(b"content-type", problems.MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
            await secured(
                {"type": "http.response.start", "status": 403, "headers": [*headers, (b"connection", b"close")]}
            )
            await secured({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Message) -> str | None:
        """Why a request is refused; None if it is not."""
        hosts = _values(scope, b"host")
        parts = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if parts is None or not self._knows(parts[1]):
            return WRONG_HOST
        if any(origin.partition("://")[2] != hosts[0] for origin in _values(scope, b"origin")):
            return WRONG_ORIGIN
        return None

    def _knows(self, name: str) -> bool:
        return name in self._names or (self._any_address and _is_address(name.strip("[]")))


def _values(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in scope["headers"] if key == name]


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
