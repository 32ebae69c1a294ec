"""Download a zip archive from the web, resuming when the connection breaks.

The bytes received stay in a `.part` file. A sidecar records the version of the remote file they belong to, so that a
later attempt, or a later run, requests only the rest. httpx is imported only when needed, never by `artdetect status`.
"""

import html
import re
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from artdetect.core.errors import DownloadError, StorageError
from artdetect.core.progress import ByteProgress, no_progress
from artdetect.core.version import __version__
from artdetect.download.extract import LimitError
from artdetect.download.source import (
    MAGIC,
    public_url,
    read_json,
    url_digest,
    write_json,
)

if TYPE_CHECKING:
    import httpx

_BY_HAND = "download it by hand and set download.url to the file"
_ADVANCE = 1 << 20  # bytes that an attempt must gain for the count of failures to start again
_TRANSIENT = {408, 425, 429}  # retried, as are all 5xx


@dataclass(frozen=True)
class Retry:
    """When to retry a broken download, and when to give up."""

    attempts: int = 6  # failures in a row without progress
    first_wait: float = 1.0  # seconds; doubled after each failure
    max_wait: float = 60.0  # seconds
    read_timeout: float = 60.0  # seconds without a byte after which the connection counts as broken


class _TransientError(Exception):
    """This attempt failed, but another may succeed. `wait` (seconds) overrides the usual delay."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


@dataclass(frozen=True)
class Partial:
    """The part of a remote file received so far. The `.json` beside it holds etag, modified and total."""

    path: Path

    @property
    def size(self) -> int:
        """Number of bytes received, 0 if their version is unknown."""
        return self.path.stat().st_size if self.path.exists() and self.state else 0

    @property
    def state(self) -> dict[str, Any]:
        """The version of the remote file: {"etag", "modified", "total"}, each None if the server did not send it."""
        return read_json(self._sidecar)

    @property
    def complete(self) -> bool:
        """Whether the whole file was received."""
        return self.state.get("total") is not None and self.size == self.state["total"]

    def start(self, state: dict[str, Any]) -> None:
        """Start over. The bytes go first, so that a kill in between never leaves old bytes with a new state."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"")
        write_json(self._sidecar, state)

    def finish(self) -> None:
        """Record that the file is complete, for servers that do not announce a length."""
        if not self.complete:
            write_json(self._sidecar, self.state | {"total": self.size})

    def discard(self) -> None:
        """Remove the bytes and their state."""
        self.path.unlink(missing_ok=True)
        self._sidecar.unlink(missing_ok=True)

    @property
    def _sidecar(self) -> Path:
        return self.path.with_suffix(".json")


def fetch(
    url: str, folder: Path, max_bytes: float, progress: ByteProgress = no_progress, retry: Retry | None = None
) -> Partial:
    """Download `url` to a `.part` file in `folder`, resuming where an earlier call stopped.

    Args:
        url: The address of a zip archive.
        folder: Where the `.part` file goes.
        max_bytes: The largest archive accepted, whatever it unpacks to.
        progress: Called for each chunk with the bytes received and the total, None if unknown.
        retry: When to retry and when to give up.

    Raises:
        DownloadError: The server refuses, does not answer or sends something else. The bytes received are kept for
            the next call.
        StorageError: The disk has less space than the server announces.
    """
    import httpx

    retry = retry or Retry()
    partial = Partial(folder / f"{url_digest(url)}.part")
    failures, furthest = 0, partial.size
    with httpx.Client(
        follow_redirects=True,
        timeout=httpx.Timeout(retry.read_timeout, connect=min(retry.read_timeout, 15)),
        # identity, because a range of a compressed response would be a different one
        headers={"User-Agent": f"artdetect/{__version__}", "Accept-Encoding": "identity"},
    ) as client:
        while not partial.complete:
            wait = None
            try:
                _attempt(client, url, partial, max_bytes, progress)
                continue
            except _TransientError as error:
                problem, wait = str(error), error.wait
            except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL) as error:
                raise DownloadError(f"{public_url(url)}: {_one_line(error)}: check download.url") from error
            except httpx.TransportError as error:
                if reason := _hopeless(error):
                    raise DownloadError(f"{public_url(url)}: {reason}") from error
                problem = _one_line(error)
            if partial.size >= furthest + _ADVANCE:
                failures, furthest = 0, partial.size
            failures += 1
            if failures >= retry.attempts:
                advice = f"{partial.size:,} bytes are kept, run again to resume" if partial.size else "run again later"
                raise DownloadError(f"{public_url(url)}: {problem} (gave up after {failures} attempts; {advice})")
            progress(partial.size, partial.state.get("total"), f"waiting to retry: {problem}")
            delay = retry.first_wait * 2 ** (failures - 1) if wait is None else wait
            time.sleep(min(delay, retry.max_wait))
    return partial


def _attempt(client: "httpx.Client", url: str, partial: Partial, max_bytes: float, progress: ByteProgress) -> None:
    """Make one request, append the bytes received to `partial`, and return when the file is complete."""
    received, state = partial.size, partial.state
    with client.stream("GET", url, headers=_range(received, state)) as response:
        etag, modified = response.headers.get("etag"), response.headers.get("last-modified")
        if received and response.status_code in (206, 416):
            # Some servers do not support If-Range, so the version is checked here.
            start, total = _content_range(response.headers.get("content-range", ""))
            changed = any(
                state.get(name) and new and state[name] != new for name, new in _version(etag, modified, total)
            )
            if changed or (start != received if response.status_code == 206 else total != received):
                partial.discard()
                raise _TransientError("the file has changed on the server", wait=0)
            if response.status_code == 416:  # nothing is missing
                partial.finish()
                return
            chunks: Iterator[bytes] = response.iter_raw()
            total = total or state.get("total")
        elif response.status_code == 200:
            length = response.headers.get("content-length", "")
            total, received = int(length) if length.isdecimal() else None, 0
            chunks = _archive_bytes(response, public_url(url))
        else:
            _refuse(response, public_url(url))
        _check_room(partial, total or received, max_bytes, url)
        if not received:
            partial.start(dict(_version(etag, modified, total)))
        with partial.path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                file.flush()  # so that a killed process loses nothing
                received += len(chunk)
                if received > max_bytes:
                    raise _too_large(url, max_bytes)
                progress(received, total, "downloading")
    if total is not None and received != total:
        raise _TransientError(f"the connection ended after {received:,} of {total:,} bytes")
    if partial.size != received:
        raise _TransientError(f"{partial.path} was deleted during the download")
    partial.finish()


def _range(received: int, state: dict[str, Any]) -> dict[str, str]:
    """The headers that request the missing bytes, or the whole file if it has changed (RFC 9110, 13.1.5)."""
    if not received:
        return {}
    etag, modified = state.get("etag"), state.get("modified")
    validator = etag if etag and not etag.startswith("W/") else modified  # a weak tag does not guarantee the same bytes
    return {"Range": f"bytes={received}-"} | ({"If-Range": validator} if validator else {})


def _version(etag: str | None, modified: str | None, total: int | None) -> tuple[tuple[str, Any], ...]:
    return ("etag", etag), ("modified", modified), ("total", total)


def _content_range(header: str) -> tuple[int | None, int | None]:
    """The position of the first byte and the total length, from `bytes 5-9/10` or `bytes */10`."""
    match = re.fullmatch(r"bytes (?:(\d{1,18})-\d+|\*)/(\d{1,18}|\*)", header.strip())
    start, total = match.groups() if match else (None, None)
    return (int(start) if start else None), (int(total) if total and total != "*" else None)


def _archive_bytes(response: "httpx.Response", where: str) -> Iterator[bytes]:
    """The body, if it starts as a zip archive does; otherwise an earlier part must not be overwritten."""
    chunks, head = response.iter_raw(), b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4:
            break
    if head.startswith(MAGIC):
        return chain([head], chunks)
    if not head:
        raise DownloadError(f"{where}: the server sent an empty file: check download.url")
    if "html" in response.headers.get("content-type", "").lower() or head.lstrip()[:1] == b"<":
        for chunk in chunks:
            head += chunk
            if len(head) > 1 << 16:
                break
        match = re.search(r"<title[^>]*>(.*?)</title", head.decode(errors="replace"), re.IGNORECASE | re.DOTALL)
        page = f"the web page {_one_line(html.unescape(match[1]))!r}" if match else "a web page"
        raise DownloadError(f"{where}: the server sent {page} instead of a zip archive: {_BY_HAND}")
    raise DownloadError(
        f"{where}: the server did not send a zip archive (it starts with {head[:8]!r}): check download.url"
    )


def _refuse(response: "httpx.Response", where: str) -> NoReturn:
    """Raise the error for an unsuccessful status: retry, or fail with a hint."""
    status = response.status_code
    problem = f"the server answered {status} {response.reason_phrase or _phrase(status)}".rstrip()
    if status >= 500 or status in _TRANSIENT:
        after = response.headers.get("retry-after", "")
        raise _TransientError(problem, wait=float(after) if after.isdecimal() else None)
    if status in (401, 403, 407):
        raise DownloadError(f"{where}: {problem}: it needs a login: {_BY_HAND}")
    if status in (404, 410):
        raise DownloadError(f"{where}: {problem}: there is no such file; check download.url")
    raise DownloadError(f"{where}: {problem}: check download.url, or {_BY_HAND}")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in list(HTTPStatus) else ""


def _hopeless(error: BaseException) -> str | None:
    """Why no further attempt would help: an unknown host or an invalid certificate. None if one may help."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return "there is no such host: check download.url"
        cause = cause.__cause__ or cause.__context__
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"the server's certificate cannot be verified: check download.url, or {_BY_HAND}"
    return None


def _check_room(partial: Partial, total: int, max_bytes: float, url: str) -> None:
    if total > max_bytes:
        raise _too_large(url, max_bytes)
    folder = partial.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    missing, free = total - partial.size, shutil.disk_usage(folder).free
    if missing > free:
        raise StorageError(
            f"{folder}: {public_url(url)} needs {missing / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free: "
            "free some space and run again"
        )


def _too_large(url: str, max_bytes: float) -> LimitError:
    return LimitError(
        f"{public_url(url)}: the archive is larger than download.max_gb = {max_bytes / 1e9:g}: raise it if you trust it"
    )


def _one_line(text: object) -> str:
    """A message or title from outside as one short printable line."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return words[:150] or type(text).__name__
