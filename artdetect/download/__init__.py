"""The download stage: makes a data set available as a folder, from an archive on the web or here, or as it is.

Archives are unpacked once to data/raw/<name>-<first digits of their SHA-256> and never touched again; a second run
makes no request. `source` reads addresses, `fetch` transfers, `extract` unpacks, `raw` keeps what is there.
"""

from pathlib import Path
from typing import Any

from artdetect.core import paths
from artdetect.core.errors import ArtifactError, DownloadError
from artdetect.download import dataset_store
from artdetect.download.config import DownloadConfig
from artdetect.download.extract import LimitError
from artdetect.download.fetch import Retry, fetch
from artdetect.download.source import (
    Kind,
    Progress,
    archive_sha256,
    file_sha256,
    key_url,
    local_path,
    no_progress,
    picture_folder,
    public_url,
    read_json,
    source_kind,
    stem,
    title,
    url_digest,
    write_json,
)

__all__ = ["DownloadConfig", "Progress", "Retry", "check", "dataset", "fingerprint", "folder", "run", "source_kind"]

RECORD = "dataset.json"


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


def run(config: DownloadConfig, out: Path, progress: Progress = no_progress, retry: Retry | None = None) -> None:
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
    found: dataset_store.Dataset | None = None
    if kind == "folder":
        unpacked = local_path(config.url)
    else:
        dataset_store.sweep()
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


def _from_archive(config: DownloadConfig, progress: Progress) -> dataset_store.Dataset:
    archive = local_path(config.url)
    sha256 = archive_sha256(archive, progress)
    _compare(sha256, config.sha256, str(archive))
    return dataset_store.unpack(archive, sha256, f"{stem(config.url)}-{sha256[:8]}", config.max_gb * 1e9, progress)


def _from_web(config: DownloadConfig, progress: Progress, retry: Retry | None) -> dataset_store.Dataset:
    if found := dataset_store.known(config.url, config.sha256):
        return found
    with dataset_store.locked(url_digest(config.url), progress):
        if found := dataset_store.known(config.url, config.sha256):  # by the run that was waited for
            return found
        where, max_bytes = public_url(config.url), config.max_gb * 1e9
        partial = fetch(config.url, dataset_store.downloads(), max_bytes, progress, retry)
        sha256 = file_sha256(partial.path, progress)
        name = f"{stem(config.url)}-{sha256[:8]}"
        try:
            _compare(sha256, config.sha256, where)
            found = dataset_store.unpack(partial.path, sha256, name, max_bytes, progress, config.url, where)
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
