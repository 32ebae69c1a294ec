"""Brings a zip archive from the web to the disk, however often the connection breaks.

What has arrived stays in a `.part` file, and a sidecar says of which version of the remote file it is, so that a later
attempt, or a later run, asks for the rest only. httpx is imported when it is needed: `artdetect status` never does.
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

from artdetect import __version__
from artdetect.core.errors import DownloadError, StorageError
from artdetect.download.extract import LimitError
from artdetect.download.source import MAGIC, Progress, no_progress, public_url, read_json, url_digest, write_json

if TYPE_CHECKING:
    import httpx

_BY_HAND = "download it by hand and set download.url to the file"
_ADVANCE = 1 << 20  # bytes: an attempt that brought this much more than any before did not fail in vain
_TRANSIENT = {408, 425, 429}  # and all 5xx


@dataclass(frozen=True)
class Retry:
    """How stubborn a download is: failures in a row without advance, and seconds to wait after each, doubled."""

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    silence: float = 60.0  # s without a byte until the connection counts as broken


class _TransientError(Exception):
    """This attempt failed and another may not; `wait` in seconds overrides the usual one."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


@dataclass(frozen=True)
class Partial:
    """The bytes of a remote file that are already here; `.json` beside them holds etag, modified and total."""

    path: Path

    @property
    def size(self) -> int:
        """Bytes that have arrived and whose version is known."""
        return self.path.stat().st_size if self.path.exists() and self.state else 0

    @property
    def state(self) -> dict[str, Any]:
        """Which version the bytes are of: {"etag", "modified", "total"}, each None where the server did not say."""
        return read_json(self._sidecar)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.state.get("total") is not None and self.size == self.state["total"]

    def start(self, state: dict[str, Any]) -> None:
        """Begins anew; the bytes go first, so that a kill in between never leaves old bytes with a new state."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"")
        write_json(self._sidecar, state)

    def finish(self) -> None:
        """Notes that the bytes at hand are all, for servers that do not announce a length."""
        if not self.complete:
            write_json(self._sidecar, self.state | {"total": self.size})

    def discard(self) -> None:
        """Removes the bytes and what is known of them."""
        self.path.unlink(missing_ok=True)
        self._sidecar.unlink(missing_ok=True)

    @property
    def _sidecar(self) -> Path:
        return self.path.with_suffix(".json")


def fetch(
    url: str, folder: Path, max_bytes: float, progress: Progress = no_progress, retry: Retry | None = None
) -> Partial:
    """Downloads `url` to a `.part` file in `folder`, going on where an earlier call stopped.

    Args:
        max_bytes: Refuses archives larger than this, whatever they unpack to.

    Raises:
        DownloadError: The server refuses, does not answer or sends something else; what arrived stays for a next call.
        StorageError: The disk has less room than the server announces.
    """
    import httpx

    retry = retry or Retry()
    partial = Partial(folder / f"{url_digest(url)}.part")
    failures, furthest = 0, partial.size
    with httpx.Client(
        follow_redirects=True,
        timeout=httpx.Timeout(retry.silence, connect=min(retry.silence, 15)),
        # identity: a range of a compressed answer would be another range
        headers={"User-Agent": f"artdetect/{__version__}", "Accept-Encoding": "identity"},
    ) as client:
        while not partial.complete:
            wait = None
            try:
                _attempt(client, url, partial, max_bytes, progress)
                continue
            except _TransientError as again:
                problem, wait = str(again), again.wait
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
                kept = f"{partial.size:,} bytes are kept, run again to go on" if partial.size else "run again later"
                raise DownloadError(f"{public_url(url)}: {problem} (gave up after {failures} attempts; {kept})")
            progress(partial.size, partial.state.get("total"), f"waiting to try again: {problem}")
            usual = min(retry.first_wait * 2 ** (failures - 1), retry.longest_wait)
            time.sleep(usual if wait is None else min(wait, retry.longest_wait))
    return partial


def _attempt(client: "httpx.Client", url: str, partial: Partial, max_bytes: float, progress: Progress) -> None:
    """One request; adds what arrives to `partial` and returns when nothing is missing."""
    have, state = partial.size, partial.state
    with client.stream("GET", url, headers=_range(have, state)) as answer:
        etag, modified = answer.headers.get("etag"), answer.headers.get("last-modified")
        if have and answer.status_code in (206, 416):
            # Whether If-Range was heeded is checked here, since some servers do not know it.
            start, total = _content_range(answer.headers.get("content-range", ""))
            changed = any(state.get(name) and new and state[name] != new for name, new in _pairs(etag, modified, total))
            if changed or (start != have if answer.status_code == 206 else total != have):
                partial.discard()
                raise _TransientError("the file has changed on the server", wait=0)
            if answer.status_code == 416:  # nothing is left to send
                partial.finish()
                return
            chunks: Iterator[bytes] = answer.iter_raw()
            total = total or state.get("total")
        elif answer.status_code == 200:
            length = answer.headers.get("content-length", "")
            total, have = int(length) if length.isdecimal() else None, 0
            chunks = _archive_bytes(answer, public_url(url))
        else:
            _refuse(answer, public_url(url))
        _check_room(partial, total or have, max_bytes, url)
        if not have:
            partial.start(dict(_pairs(etag, modified, total)))
        with partial.path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                file.flush()  # what has arrived survives a kill
                have += len(chunk)
                if have > max_bytes:
                    raise _too_large(url, max_bytes)
                progress(have, total, "downloading")
    if total is not None and have != total:
        raise _TransientError(f"the connection ended after {have:,} of {total:,} bytes")
    if partial.size != have:
        raise _TransientError(f"{partial.path} was deleted meanwhile")
    partial.finish()


def _range(have: int, state: dict[str, Any]) -> dict[str, str]:
    """The headers that ask for what is missing, and for everything if the file has changed (RFC 9110, 13.1.5)."""
    if not have:
        return {}
    etag, modified = state.get("etag"), state.get("modified")
    validator = etag if etag and not etag.startswith("W/") else modified  # a weak tag does not vouch for bytes
    return {"Range": f"bytes={have}-"} | ({"If-Range": validator} if validator else {})


def _pairs(etag: str | None, modified: str | None, total: int | None) -> tuple[tuple[str, Any], ...]:
    return ("etag", etag), ("modified", modified), ("total", total)


def _content_range(header: str) -> tuple[int | None, int | None]:
    """The first byte and the whole length that `bytes 5-9/10` or `bytes */10` announce."""
    match = re.fullmatch(r"bytes (?:(\d{1,18})-\d+|\*)/(\d{1,18}|\*)", header.strip())
    start, total = match.groups() if match else (None, None)
    return (int(start) if start else None), (int(total) if total and total != "*" else None)


def _archive_bytes(answer: "httpx.Response", where: str) -> Iterator[bytes]:
    """The body, once its first bytes show that it is a zip archive: an earlier part is not given up for less."""
    chunks, head = answer.iter_raw(), b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4:
            break
    if head.startswith(MAGIC):
        return chain([head], chunks)
    if not head:
        raise DownloadError(f"{where}: the server sent an empty file: check download.url")
    if "html" in answer.headers.get("content-type", "").lower() or head.lstrip()[:1] == b"<":
        for chunk in chunks:
            head += chunk
            if len(head) > 1 << 16:
                break
        match = re.search(r"<title[^>]*>(.*?)</title", head.decode(errors="replace"), re.IGNORECASE | re.DOTALL)
        page = f"the web page {_one_line(html.unescape(match[1]))!r}" if match else "a web page"
        raise DownloadError(f"{where}: the server sent {page} instead of a zip archive: {_BY_HAND}")
    raise DownloadError(f"{where}: the server sent no zip archive (it starts with {head[:8]!r}): check download.url")


def _refuse(answer: "httpx.Response", where: str) -> NoReturn:
    """Raises what a status other than success means: another attempt, or the end with a hint."""
    status = answer.status_code
    said = f"the server answered {status} {answer.reason_phrase or _phrase(status)}".rstrip()
    if status >= 500 or status in _TRANSIENT:
        after = answer.headers.get("retry-after", "")
        raise _TransientError(said, wait=float(after) if after.isdecimal() else None)
    if status in (401, 403, 407):
        raise DownloadError(f"{where}: {said}: it needs a login: {_BY_HAND}")
    if status in (404, 410):
        raise DownloadError(f"{where}: {said}: there is no such file; check download.url")
    raise DownloadError(f"{where}: {said}: check download.url, or {_BY_HAND}")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in list(HTTPStatus) else ""


def _hopeless(error: BaseException) -> str | None:
    """Why no further attempt would help: a host that does not exist, a certificate that does not fit."""
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
            f"{folder}: {missing / 1e9:.1f} GB of {public_url(url)} are missing, {free / 1e9:.1f} GB are free: "
            "free some space and run again"
        )


def _too_large(url: str, max_bytes: float) -> LimitError:
    return LimitError(
        f"{public_url(url)}: the archive is larger than download.max_gb = {max_bytes / 1e9:g}: raise it if you trust it"
    )


def _one_line(text: object) -> str:
    """A message or a title from elsewhere, fit for a terminal."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return words[:150] or type(text).__name__
