"""Slow, idle and greedy clients over real sockets: honest requests pass meanwhile, and every refusal arrives."""

import http.client
import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from artdetect.serve import connections, edge, intake
from tests.serve.running import PREDICT, get, held, post, serving, verdict
from tests.tiny_dataset import jpeg

HEAD = b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"
HALF = HEAD + b"half"


@contextmanager
def sockets(address: str, number: int, start: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that send so much and then nothing."""
    host, port = address.removeprefix("http://").split(":")
    with ExitStack() as stack:
        made = []
        for _ in range(number):
            made.append(stack.enter_context(socket.create_connection((host, int(port)))))
            made[-1].sendall(start)
        yield made


def ended(connection: socket.socket, within: float = 180) -> bytes:
    """What a connection receives until it is closed, which it is within so many seconds."""
    connection.settimeout(within)
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("start", [b"", b"GET / HT", HALF], ids=["idle", "half a head", "half a body"])
def test_300_connections_that_wait_keep_nobody_out(running, start: bytes) -> None:
    _, address, _ = running
    with sockets(address, 300, start) as waiting:
        assert get(address, "/healthz")["status"] == "ok"
        assert ended(waiting[0], within=connections.HEAD_SECONDS / 2) == b""  # it has given way
        assert verdict(address, jpeg(1))["error"] is None
        assert httpx.get(f"{address}/").status_code == 200


def test_eight_slow_bodies_delay_nobody(running) -> None:
    """They took all places, for a minute."""
    service, address, _ = running
    with sockets(address, 8, HALF) as slow:
        for _ in range(3):
            for connection in slow:
                connection.sendall(b".")
            assert verdict(address, jpeg(1))["error"] is None
            assert service.intake.pictures == 0


def test_slow_heads_and_idle_connections_are_ended(running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    _, address, _ = running
    with sockets(address, 1) as (idle,), sockets(address, 1, b"GET / HTTP/1.1\r\nHost: ") as (slow,):
        for _ in range(4):
            time.sleep(0.1)
            try:
                slow.sendall(b"x")  # bytes do not prolong it
            except (BrokenPipeError, ConnectionResetError):
                break
        assert ended(idle) == ended(slow) == b""
    with sockets(address, 1, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as (kept,):
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        with suppress(BrokenPipeError, ConnectionResetError):  # a busy machine may send after the end
            kept.sendall(b"GET / HT")
        ended(kept, within=60)  # after an answer, too


def test_an_answer_that_nobody_takes_ends(running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.3)
    _, address, _ = running
    with sockets(address, 1, HALF) as (slow,):
        assert ended(slow) == b""


@pytest.mark.parametrize("start", [HEAD, HALF], ids=["never begins", "stops"])
def test_a_body_that_does_not_arrive_is_a_problem(
    running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, start: bytes
) -> None:
    monkeypatch.setattr(intake, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(edge, "LINGER_SECONDS", 0.2)
    service, address, _ = running
    with sockets(address, 8, start):
        pass  # gone in the middle
    with sockets(address, 1, start) as (slow,):
        slow.settimeout(60)
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
    assert verdict(address, jpeg(1))["error"] is None
    assert (service.intake.held, len(service.intake._arriving)) == (0, 0)
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []


def test_a_body_that_drips_is_ended_by_the_limit_of_the_whole(running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BODY_SECONDS", 0.4)
    monkeypatch.setattr(intake, "IDLE_SECONDS", 1000.0)
    monkeypatch.setattr(edge, "LINGER_SECONDS", 0.2)
    _, address, _ = running
    with sockets(address, 1, HALF) as (slow,):
        with suppress(BrokenPipeError, ConnectionResetError):  # a busy machine may send after the end
            for _ in range(8):
                slow.sendall(b".")
                time.sleep(0.1)
        slow.settimeout(60)
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_is_too_large_gets_its_413_while_it_still_sends(model: Path) -> None:
    """The connection was reset, and the client saw no answer."""
    with serving(model, max_bytes=10**6) as (_, address):

        def chunks() -> Iterator[bytes]:
            for _ in range(73):
                yield bytes(10**6)

        for content, headers in ((chunks(), {}), (bytes(73 * 10**6), {})):
            answer = httpx.post(address + PREDICT, content=content, headers=headers, timeout=180)
            assert answer.status_code == 413
            assert answer.json()["detail"].startswith("the body is too large (the limit is 1,000,000 bytes")
        assert post(address, bytes(10**6)).status_code == 422  # read, and no picture


def test_what_is_left_of_a_refused_body_is_read_for_longer_than_a_head_may_take(
    running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    _, address, _ = running
    with sockets(address, 1, HEAD.replace(b"99", b"2000001")) as (slow,):
        for _ in range(12):
            slow.sendall(b".")
            time.sleep(0.1)
        assert slow.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_is_too_large_is_refused_before_the_rest_has_arrived(
    running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "LINGER_SECONDS", 1000.0)
    _, address, _ = running
    for header, start in (("Content-Length", b""), ("Transfer-Encoding", b"1e8481\r\n" + bytes(2_000_001))):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
        connection.putrequest("POST", PREDICT)
        connection.putheader(header, "chunked" if start else "2000001")
        connection.endheaders(start)
        answer = connection.getresponse()  # none of the rest was sent
        assert (answer.status, json.loads(answer.read(answer.length))["status"]) == (413, 413)
        connection.close()


def test_a_client_that_asks_first_is_refused_without_sending(running, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends nothing more, so there is nothing to wait for."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(edge, "LINGER_SECONDS", 1000.0)
    _, address, _ = running
    head = (
        b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n"
    )
    with sockets(address, 1, head) as (asking,):
        assert ended(asking, within=30).startswith(b"HTTP/1.1 413 ")


def test_a_full_queue_answers_503_at_once_and_health_still_200(running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_PICTURES", 4)
    service, address, _ = running
    with ThreadPoolExecutor(12) as many:
        with held():
            pending = [many.submit(post, address, jpeg(seed)) for seed in range(12)]
            while sum(one.done() for one in pending) < 8:
                time.sleep(0.01)
            assert get(address, "/healthz")["status"] == "ok"
            assert service.intake.pictures == 4
        answers = [one.result() for one in pending]
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [503] * 8
    busy = next(answer for answer in answers if answer.status_code == 503)
    assert busy.headers["retry-after"] == "2"
    assert (service.intake.pictures, service.intake.held) == (0, 0)


def test_a_form_of_more_pictures_than_there_are_places_is_refused_at_once(
    running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_PICTURES", 4)
    service, address, _ = running
    form = [("picture", (f"{seed}.jpg", jpeg(seed))) for seed in range(4)]
    with ThreadPoolExecutor(1) as other, held():
        pending = other.submit(post, address, jpeg(9))
        while not service.intake.pictures:
            time.sleep(0.01)
        assert httpx.post(address + PREDICT, files=form, timeout=60).status_code == 503
    assert pending.result().status_code == 200


def test_bodies_that_hold_too_much_give_way_to_later_ones(running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_HELD_BODIES", 2)
    service, address, _ = running
    large = b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1999999\r\n\r\n" + bytes(1_500_000)
    with sockets(address, 3, large) as slow:
        for connection in slow:
            connection.settimeout(180)
        assert slow[0].recv(100).startswith(b"HTTP/1.1 503 ")  # the one that began first
        assert verdict(address, jpeg(1))["error"] is None
        assert service.intake.held <= 4_000_000


def test_what_is_no_request_is_a_problem(running) -> None:
    _, address, _ = running
    with sockets(address, 1, b"\x16\x03\x01 hello\r\n\r\n") as (wrong,):
        answer = ended(wrong)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 400


def test_nothing_listens_before_the_model_is_loaded() -> None:
    from artdetect import serve

    reserved = serve.reserve("127.0.0.1", 0)
    with reserved, pytest.raises(ConnectionRefusedError):
        socket.create_connection(reserved.getsockname())
