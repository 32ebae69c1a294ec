"""The download stage: makes a data set available as a folder, from an archive on the web or here, or as it is.

Archives are unpacked once to data/raw/<name>-<first digits of their SHA-256> and never touched again; a second run
makes no request. `source` reads addresses, `fetch` transfers, `extract` unpacks, `raw` keeps what is there.
"""

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from artdetect import paths
from artdetect.download import raw
from artdetect.download.extract import LimitError
from artdetect.download.fetch import Retry, fetch
from artdetect.download.source import (
    Kind,
    Progress,
    archive_sha256,
    file_sha256,
    key_url,
    local_path,
    picture_folder,
    public_url,
    read_json,
    silent,
    source_kind,
    stem,
    title,
    url_digest,
    write_json,
)
from artdetect.errors import ArtifactError, DownloadError
from artdetect.section import Section

__all__ = ["DownloadConfig", "Progress", "Retry", "check", "dataset", "fingerprint", "folder", "run", "source_kind"]

RECORD = "dataset.json"


class DownloadConfig(Section):
    """Where the pictures come from.

    Args:
        url: An http(s):// or file:// address or a path of a zip archive, or a folder of pictures.
        sha256: Of the archive, 64 hex digits; not looked at for a folder.
        max_gb: Limit on the unpacked size, in 10^9 bytes.
    """

    url: str
    sha256: str | None = None
    max_gb: float = Field(default=40, gt=0)

    @field_validator("sha256")
    @classmethod
    def _hexadecimal(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.strip().lower()
        if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
            raise ValueError(f"must be 64 hex digits. Received: {value!r}, {len(value)} characters")
        return value

    def key_parts(self) -> dict[str, Any]:
        """Nothing: what counts is where the pictures come from, which `fingerprint` says without local paths."""
        return {}


def fingerprint(config: DownloadConfig) -> dict[str, str]:
    """What makes the stage run again: where a folder is, what an archive holds, or which address it comes from.

    Needs no network. Where an archive lies does not count, so that a project can move; a query in an address, which
    may hold a token, is replaced by its digest.

    Raises:
        DownloadError: There is no such folder or archive.
    """
    match source_kind(config.url):
        case "folder":
            return {"folder": paths.portable(local_path(config.url))}
        case "archive":
            return {"archive": archive_sha256(local_path(config.url))}
        case "web":
            return {"url": key_url(config.url), "sha256": config.sha256 or ""}


def run(config: DownloadConfig, out: Path, progress: Progress = silent, retry: Retry | None = None) -> None:
    """Makes the pictures available and writes `out`/dataset.json, which says where they are.

    dataset.json holds "folder" (portable; the one with train/ or test/, also where something is wrapped around it),
    "name", "kind", "url" (without credentials and query; of a local archive its name only, since it may move), and for
    archives "archive_sha256", "files" and "bytes", which are null for a folder. A folder is used as it is: nothing is
    copied, counted or written into it.

    Args:
        progress: Called often with bytes done, bytes in all or None, and what is being done.
        retry: How often and after how long a broken download is taken up again.

    Raises:
        DownloadError: The address, the server or the archive does not yield a folder of pictures. No folder is left;
            what arrived of a download stays in data/cache, unless it is of no use, and the next run goes on from it.
        StorageError: The disk has too little room. An OSError where that turns out only while writing.
    """
    kind = source_kind(config.url)
    found: raw.Dataset | None = None
    if kind == "folder":
        unpacked = local_path(config.url)
    else:
        raw.sweep()
        found = _from_web(config, progress, retry) if kind == "web" else _from_archive(config, progress)
        unpacked = found.folder
    content: dict[str, Any] = {
        "folder": paths.portable(picture_folder(unpacked)),
        "name": title(config.url),
        "kind": kind,
        "url": _shown_url(config.url, kind),
        "archive_sha256": found.sha256 if found else None,
        "files": found.files if found else None,
        "bytes": found.bytes if found else None,
    }
    write_json(out / RECORD, content)


def dataset(artifact: Path) -> dict[str, Any]:
    """What the stage's artifact folder says of the data set; see `run`.

    Raises:
        ArtifactError: There is no dataset.json, or a damaged one.
    """
    content = read_json(artifact / RECORD)
    if not isinstance(content.get("folder"), str):
        raise ArtifactError(f"{artifact / RECORD} is missing or damaged: delete {artifact} and run again")
    return content


def folder(artifact: Path) -> Path:
    """The pictures' folder on this machine, as the stage's artifact folder names it. Raises as `dataset`."""
    return paths.located(dataset(artifact)["folder"])


def check(recorded: dict[str, Any] | Path) -> str | None:
    """Why a data set, given as its record or as the artifact folder, can no longer be used; None where it can."""
    content = read_json(recorded / RECORD) if isinstance(recorded, Path) else recorded
    if not isinstance(content.get("folder"), str):
        return "it names no folder"
    pictures = paths.located(content["folder"])
    return None if pictures.is_dir() else f"{pictures} is gone"


def _from_archive(config: DownloadConfig, progress: Progress) -> raw.Dataset:
    archive = local_path(config.url)
    sha256 = archive_sha256(archive, progress)
    _compare(sha256, config.sha256, str(archive))
    return raw.place(archive, sha256, f"{stem(config.url)}-{sha256[:8]}", config.max_gb * 1e9, progress)


def _from_web(config: DownloadConfig, progress: Progress, retry: Retry | None) -> raw.Dataset:
    if found := raw.known(config.url, config.sha256):
        return found
    with raw.locked(url_digest(config.url), progress):
        if found := raw.known(config.url, config.sha256):  # by the run that was waited for
            return found
        where, max_bytes = public_url(config.url), config.max_gb * 1e9
        partial = fetch(config.url, raw.downloads(), max_bytes, progress, retry)
        sha256 = file_sha256(partial.path, progress)
        name = f"{stem(config.url)}-{sha256[:8]}"
        try:
            _compare(sha256, config.sha256, where)
            found = raw.place(partial.path, sha256, name, max_bytes, progress, config.url, where)
        except LimitError:
            raise
        except DownloadError:  # these bytes will never do; with a full disk or a raised limit they will
            partial.discard()
            raise
        partial.discard()
        return found


def _compare(sha256: str, wanted: str | None, where: str) -> None:
    if wanted and sha256 != wanted:
        raise DownloadError(
            f"{where}: its SHA-256 is {sha256}, download.sha256 is {wanted}: "
            "it was damaged or replaced; get it again, or correct download.sha256 if you trust it"
        )


def _shown_url(url: str, kind: Kind) -> str:
    if kind == "web":
        return public_url(url)
    return local_path(url).name if kind == "archive" else paths.portable(local_path(url))
