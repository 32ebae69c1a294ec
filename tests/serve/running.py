"""The service over real HTTP, in a thread, and what its tests ask it."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from artdetect import serve
from artdetect.model import predict
from artdetect.serve.feedback import FeedbackFolder
from artdetect.serve.live_model import LiveModel
from artdetect.serve.service import Service

PREDICT = "/api/v1/predict"


@contextmanager
def serving(
    path: Path | None = None, max_bytes: int = 10**6, feedback: Path | None = None
) -> Iterator[tuple[Service, str]]:
    """The service, and its address."""
    service = Service(LiveModel(path), max_bytes, FeedbackFolder(feedback) if feedback else None)
    reserved = serve.reserve("127.0.0.1", 0)
    serve.listen(reserved)
    server = serve.server(service, log_config=None)
    thread = Thread(target=server.run, kwargs={"sockets": [reserved]})
    thread.start()
    try:
        yield service, serve.address(reserved)
    finally:
        server.should_exit = True
        thread.join()


def post(address: str, content: bytes, path: str = PREDICT, **query: str) -> httpx.Response:
    """The answer to a picture as the body."""
    return httpx.post(address + path, content=content, params=query, timeout=180)


def verdict(address: str, content: bytes, **query: str) -> dict[str, Any]:
    """The row of one picture."""
    (row,) = post(address, content, **query).raise_for_status().json()["pictures"]
    return row


def get(address: str, path: str) -> Any:
    """The JSON at a path."""
    return httpx.get(address + path, timeout=180).raise_for_status().json()


@contextmanager
def held() -> Iterator[None]:
    """While this lasts, no forward pass ends."""
    free, verdicts = Event(), predict.verdicts

    def waiting(*arguments: Any) -> Any:
        free.wait()
        return verdicts(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "verdicts", waiting)
        try:
            yield
        finally:
            free.set()


def vast() -> bytes:
    """The head of a PNG of 30,000 x 30,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">II", zlib.crc32(head), 1) + b"IDAT"
