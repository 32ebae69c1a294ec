"""Interpret `download.url`: a folder, a local zip archive or one on the web, and the names derived from it.

Separate from the transfer, so that cache keys and `artdetect status` need neither network nor httpx.
"""

import contextlib
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from artdetect.core import atomic, json_cache, paths
from artdetect.core.errors import DownloadError
from artdetect.core.progress import ByteProgress, no_progress
from artdetect.pictures.labels import INCOMING, SPLITS

Kind = Literal["folder", "archive", "web"]

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # the first bytes of a zip archive; the second is of an empty one
_CHUNK = 1 << 20  # bytes


def source_kind(url: str) -> Kind:
    """Tell whether `url` is a folder, an archive on this machine or a web address.

    Raises:
        DownloadError: It does not exist, or is none of the three.
    """
    if re.match("https?://", url, re.IGNORECASE):
        with contextlib.suppress(ValueError):  # for instance http://[half
            if urlsplit(url).hostname:
                return "web"
        raise DownloadError(f"download.url is {url!r}, which names no host: write it as https://host/path/archive.zip")
    path = local_path(url)
    try:
        if path.is_dir():
            return "folder"
        if path.is_file():
            if _is_zip(path):
                return "archive"
            raise DownloadError(
                f"{path} is neither a folder nor a zip archive: unpack it by hand and set download.url to the folder"
            )
        if path.exists():
            raise DownloadError(f"{path} is neither a folder nor a file: set download.url to a folder or a zip archive")
    except OSError as error:
        raise DownloadError(
            f"{path} cannot be read: {error.strerror}; check download.url and its permissions"
        ) from error
    hint = "draw it first: artdetect demo-data <folder>" if path.name == "drawn-art.zip" else "check download.url"
    raise DownloadError(f"{str(path)!r} does not exist: {hint}")


def local_path(url: str, key: str = "download.url") -> Path:
    """The path that a local path or a file URL names. A file URL is percent-decoded, a path is used unchanged.

    Args:
        url: The path or URL.
        key: The key of the config that it is from, for messages.

    Raises:
        DownloadError: It is empty, the scheme is unknown, or a file URL points to another machine.
    """
    if not url.strip():
        raise DownloadError(f"{key} is empty: set it to an https:// address, a zip archive or a folder")
    if match := re.match("file:(?://([^/]*))?(/.*)", url, re.IGNORECASE | re.DOTALL):
        host, path = match.groups()
        if host and host.lower() != "localhost":
            raise DownloadError(f"{key} is {url!r}, a file on the machine {host!r}: write file:///path instead")
        return Path(unquote(path, errors="surrogateescape"))
    if match := re.match("([a-z][a-z0-9+.-]*)://", url, re.IGNORECASE):
        supported = "http://, https:// or file:///" if key == "download.url" else "file:///"
        raise DownloadError(
            f"{key} starts with {match[0]!r}, which is not supported: "
            f"use {supported}, or download it by hand and set {key} to the file"
        )
    return Path(url)


def picture_folder(folder: Path) -> Path:
    """The folder that holds train/ or test/: `folder`, or one below it if an archive wraps everything in one folder."""
    here = folder
    for _ in range(8):  # bounded, because a folder may hold a link to itself
        with os.scandir(here) as entries:
            names = [entry.name for entry in entries if entry.name[0] not in "._" and entry.is_dir()]
        if any(name in SPLITS for name in names):
            return here
        if len(names) != 1:
            break
        here /= names[0]
    return folder


def names(urls: Sequence[str]) -> list[str]:
    """A name for each of several data sets; it differs from the others and from the first part of any other path."""
    taken, found = {*SPLITS, INCOMING}, []
    for url in urls:
        start = stem(url)
        numbered = chain([start], (f"{start}-{number}" for number in count(2)))
        found.append(next(name for name in numbered if name.lower() not in taken))
        taken.add(found[-1].lower())
    return found


def public_url(url: str) -> str:
    """A web address without user, password, query and fragment, as shown in records and messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def key_url(url: str) -> str:
    """A web address for cache keys: its public form, with a digest in place of the query, which may hold a token."""
    query = urlsplit(url).query
    return public_url(url) + (f"?{hashlib.sha256(query.encode()).hexdigest()[:16]}" if query else "")


def url_digest(url: str) -> str:
    """A digest that distinguishes addresses, queries included, without revealing them."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def title(url: str) -> str:
    """A readable name: the last part of a path or address, without .zip."""
    if re.match("https?://", url, re.IGNORECASE):
        parts = urlsplit(url)
        name = unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.hostname or ""
    else:
        name = local_path(url).name
    name = "".join(c for c in name if c.isprintable()).strip()
    return (name[:-4] if name.lower().endswith(".zip") else name) or "dataset"


def stem(url: str) -> str:
    """`title`, made safe as the start of a folder name on any system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", title(url)).strip("-._")[:60] or "dataset"


def stamp(path: Path) -> tuple[int, int]:
    """(size in bytes, mtime in ns), which differs when a file has changed."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def file_sha256(path: Path, progress: ByteProgress = no_progress) -> str:
    """The SHA-256 of a file's content, hexadecimal."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(done, total, "checking")
    return digest.hexdigest()


def archive_sha256(path: Path, progress: ByteProgress = no_progress) -> str:
    """`file_sha256`, cached by path, size and mtime, so that a large archive is not read every time."""
    cache, key, before = paths.cache() / "archives.json", os.path.abspath(path), stamp(path)  # noqa: PTH100
    match _known_archives(cache).get(key):
        case [int(size), int(mtime), str(sha256)] if (size, mtime) == before:
            return sha256
    sha256 = file_sha256(path, progress)
    if stamp(path) == before:
        known = {name: entry for name, entry in _known_archives(cache).items() if os.path.exists(name)}  # noqa: PTH110
        with contextlib.suppress(OSError):  # the cache only saves time
            atomic.write(cache, json_cache.dumps(known | {key: [*before, sha256]}))
    return sha256


def _known_archives(cache: Path) -> dict[str, Any]:
    """Path -> size, mtime and digest of archives that were hashed; none if the file is damaged."""
    return read_json(cache, json_cache.loads)


def read_json(path: Path, loads: Callable[[bytes], Any] = json.loads) -> dict[str, Any]:
    """The JSON object in a file; an empty one if the file is missing or damaged.

    Args:
        path: The file.
        loads: Reads its content; raises ValueError if it is damaged.
    """
    try:
        content = loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object atomically. The same content gives the same bytes."""
    atomic.write(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in MAGIC or zipfile.is_zipfile(path)  # is_zipfile also accepts self-extracting archives
