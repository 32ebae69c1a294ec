"""Requests under a foreign name or from a foreign page do not reach the application, and every response is secured."""

import asyncio
from typing import Any

import pytest

from artdetect.core.errors import ConfigError
from artdetect.web.guard import HEADERS, Guard

OWN = "127.0.0.1:4200"


class Asked:
    """An application that counts its requests."""

    def __init__(self, *headers: tuple[bytes, bytes]):
        self.count = 0
        self.headers = headers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.count += 1
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [*self.headers]})
            await send({"type": "http.response.body", "body": b"yes"})


def ask(guard: Guard, *headers: tuple[str, str], kind: str = "http") -> dict[str, Any]:
    """The first message of the answer; its headers as a dictionary."""
    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        return {"type": f"{kind}.request"}

    given = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    asyncio.run(guard({"type": kind, "method": "POST", "path": "/", "headers": given}, receive, send))
    return messages[0] | {"headers": {key.decode(): value.decode() for key, value in messages[0].get("headers", [])}}


def answered(host: str, listens_on: str = "127.0.0.1", origin: str | None = None) -> bool:
    app = Asked()
    headers = [("Host", host)] + ([("Origin", origin)] if origin is not None else [])
    status = ask(Guard(app, host=listens_on), *headers)["status"]
    assert (status, app.count) in ((200, 1), (403, 0))
    return status == 200


@pytest.mark.parametrize("host", [OWN, "127.0.0.1", "localhost:4200", "LocalHost:9000", "[::1]:4200"])
def test_the_names_of_this_machine_are_answered_at_any_port(host: str) -> None:
    assert answered(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4200",
        "127.0.0.1.evil.example:4200",
        "localhost.evil.example",
        "localhost.",
        "evil.example#127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1:4200:80",
        "0.0.0.0:4200",
        "10.0.0.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "",
        "\xe9vil.example",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert not answered(host)


def test_a_request_has_exactly_one_host() -> None:
    app = Asked()
    assert ask(Guard(app))["status"] == 403
    assert ask(Guard(app), ("Host", OWN), ("Host", "evil.example"))["status"] == 403
    assert app.count == 0


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (f"http://{OWN}", True),
        ("http://127.0.0.1:9999", False),
        ("http://localhost:4200", False),  # the dashboard's own addresses are relative
        ("http://evil.example", False),
        (f"http://evil.example/http://{OWN}", False),
        ("null", False),
        ("", False),
    ],
)
def test_a_page_of_another_origin_is_refused(origin: str, expected: bool) -> None:
    assert answered(OWN, origin=origin) == expected


def test_one_right_origin_does_not_hide_a_wrong_one() -> None:
    origins = (("Origin", f"http://{OWN}"), ("Origin", "http://evil.example"))
    assert ask(Guard(Asked()), ("Host", OWN), *origins)["status"] == 403


@pytest.mark.parametrize(("origin", "first"), [(OWN, "websocket.accept"), ("evil.example", "websocket.close")])
def test_websockets_are_checked_before_they_are_accepted(origin: str, first: str) -> None:
    asked = ask(Guard(Asked()), ("Host", OWN), ("Origin", f"http://{origin}"), kind="websocket")
    assert asked["type"] == first


@pytest.mark.parametrize("host", [OWN, "evil.example"])
def test_every_response_has_the_security_headers(host: str) -> None:
    headers = ask(Guard(Asked(), "default-src 'self'"), ("Host", host))["headers"]
    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()


def test_a_response_keeps_its_own_policy() -> None:
    app = Asked((b"Content-Security-Policy", b"sandbox"))
    assert ask(Guard(app), ("Host", OWN))["headers"]["Content-Security-Policy"] == "sandbox"


def test_a_service_for_other_machines_answers_to_addresses_and_to_the_names_that_were_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert answered("192.0.2.7:8000", listens_on="0.0.0.0")
    assert answered("[2001:db8::7]:8000", listens_on="::")
    assert answered("art.example", listens_on="art.example")
    assert not answered("art.example", listens_on="0.0.0.0")
    assert not answered("192.0.2.7", listens_on="localhost")
    assert not answered("192.0.2.7:8000", listens_on="0.0.0.0", origin="http://evil.example")
    monkeypatch.setenv("ARTDETECT_HOSTS", "art.example, Art.lan")
    assert answered("art.example", listens_on="0.0.0.0")
    assert answered("art.lan:80")
    assert not answered("evil.example")


@pytest.mark.parametrize("names", ["*", "http://art.example", "art.example:8000", "a.example b.example"])
def test_names_that_are_none_are_an_error(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTDETECT_HOSTS", names)
    with pytest.raises(ConfigError, match="ARTDETECT_HOSTS"):
        Guard(Asked())
