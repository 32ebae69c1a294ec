"""download: make a data set available as a folder, from an archive on the web, a local archive or a folder.

Archives are unpacked once to data/raw/<name>-<first digits of their SHA-256> and never touched again. A second run
makes no request. `source` interprets addresses, `fetch` transfers, `extract` unpacks, `dataset_store` holds the result.
"""

from pathlib import Path
from typing import Any

from artdetect.core import paths
from artdetect.core.errors import ArtifactError, DownloadError
from artdetect.core.progress import ByteProgress, no_progress
from artdetect.download import dataset_store
from artdetect.download.config import DownloadConfig
from artdetect.download.extract import LimitError
from artdetect.download.fetch import Retry, fetch
from artdetect.download.source import (
    Kind,
    archive_sha256,
    file_sha256,
    key_url,
    local_path,
    picture_folder,
    public_url,
    read_json,
    source_kind,
    stem,
    title,
    url_digest,
    write_json,
)

__all__ = [
    "DownloadConfig",
    "Retry",
    "check",
    "dataset",
    "fingerprint",
    "folder",
    "run",
    "source_kind",
]

RECORD = "dataset.json"


def fingerprint(config: DownloadConfig) -> dict[str, str]:
    """What identifies the source: the place of a folder, the content of an archive, or a web address.

    The stage runs again when this changes. It needs no network. The place of an archive does not count, so that a
    project can be moved. A query in an address is replaced by its digest, because it may hold a token.

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


def run(config: DownloadConfig, out: Path, progress: ByteProgress = no_progress, retry: Retry | None = None) -> None:
    """Make the pictures available and write dataset.json, which says where they are.

    dataset.json holds "folder" (portable; the one with train/ or test/, even if an archive wraps it in others),
    "name", "kind", "url" (without credentials and query; only the name of a local archive, since it may move), and for
    archives "archive_sha256", "files" and "bytes", which are null for a folder. A folder is used in place: nothing is
    copied, counted or written into it.

    Args:
        config: Section `download`.
        out: The folder for dataset.json.
        progress: Called often with the bytes done, the total bytes or None, and the current activity.
        retry: How often and how soon a broken download is resumed.

    Raises:
        DownloadError: The address, the server or the archive does not yield a folder of pictures. No folder is left.
            The bytes of an incomplete download stay in data/cache, and the next run resumes it.
        StorageError: The disk has too little space. An OSError if that turns out only while writing.
    """
    kind = source_kind(config.url)
    unpacked: dataset_store.Dataset | None = None
    if kind == "folder":
        pictures = local_path(config.url)
    else:
        dataset_store.sweep()
        unpacked = _from_web(config, progress, retry) if kind == "web" else _from_archive(config, progress)
        pictures = unpacked.folder
    content: dict[str, Any] = {
        "folder": paths.portable(picture_folder(pictures)),
        "name": title(config.url),
        "kind": kind,
        "url": _shown_url(config.url, kind),
        "archive_sha256": unpacked.sha256 if unpacked else None,
        "files": unpacked.files if unpacked else None,
        "bytes": unpacked.bytes if unpacked else None,
    }
    write_json(out / RECORD, content)


def dataset(artifact: Path) -> dict[str, Any]:
    """The content of dataset.json in the stage's artifact folder; see `run`.

    Raises:
        ArtifactError: dataset.json is missing or damaged.
    """
    content = read_json(artifact / RECORD)
    if not isinstance(content.get("folder"), str):
        raise ArtifactError(f"{artifact / RECORD} is missing or damaged: delete {artifact} and run again")
    return content


def folder(artifact: Path) -> Path:
    """The folder of the pictures on this machine, from the stage's artifact folder. Raises the same as `dataset`."""
    return paths.located(dataset(artifact)["folder"])


def check(recorded: dict[str, Any] | Path) -> str | None:
    """Why a data set, given by its record or artifact folder, can no longer be used; None if it can."""
    content = read_json(recorded / RECORD) if isinstance(recorded, Path) else recorded
    if not isinstance(content.get("folder"), str):
        return "it names no folder"
    pictures = paths.located(content["folder"])
    return None if pictures.is_dir() else f"{pictures} is gone"


def _from_archive(config: DownloadConfig, progress: ByteProgress) -> dataset_store.Dataset:
    archive = local_path(config.url)
    sha256 = archive_sha256(archive, progress)
    _check_digest(sha256, config.sha256, str(archive))
    return dataset_store.unpack(archive, sha256, f"{stem(config.url)}-{sha256[:8]}", config.max_gb * 1e9, progress)


def _from_web(config: DownloadConfig, progress: ByteProgress, retry: Retry | None) -> dataset_store.Dataset:
    if dataset := dataset_store.find(config.url, config.sha256):
        return dataset
    with dataset_store.locked(url_digest(config.url), progress):
        if dataset := dataset_store.find(config.url, config.sha256):  # unpacked by the run that held the lock
            return dataset
        where, max_bytes = public_url(config.url), config.max_gb * 1e9
        partial = fetch(config.url, dataset_store.downloads(), max_bytes, progress, retry)
        sha256 = file_sha256(partial.path, progress)
        name = f"{stem(config.url)}-{sha256[:8]}"
        try:
            _check_digest(sha256, config.sha256, where)
            dataset = dataset_store.unpack(partial.path, sha256, name, max_bytes, progress, config.url, where)
        except LimitError:
            raise
        except DownloadError:  # the bytes are useless; after a full disk or an exceeded limit they are not
            partial.discard()
            raise
        partial.discard()
        return dataset


def _check_digest(sha256: str, expected: str | None, where: str) -> None:
    if expected and sha256 != expected:
        raise DownloadError(
            f"{where}: its SHA-256 is {sha256}, download.sha256 is {expected}: "
            "it was damaged or replaced; get it again, or correct download.sha256 if you trust it"
        )


def _shown_url(url: str, kind: Kind) -> str:
    if kind == "web":
        return public_url(url)
    return local_path(url).name if kind == "archive" else paths.portable(local_path(url))
