"""download: make data sets available as a folder, each from an archive on the web, a local archive or a folder.

Archives are unpacked once to data/raw/<name>-<first digits of their SHA-256> and never touched again. A second run
makes no request. Several data sets are used together as one folder that holds a link to each, by its name.
`source` interprets addresses, `fetch` transfers, `extract` unpacks, `dataset_store` holds the result.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from artdetect.core import digests, paths
from artdetect.core.errors import ArtifactError, DownloadError
from artdetect.core.progress import ByteProgress, no_progress
from artdetect.download import dataset_store
from artdetect.download.config import DataSetConfig, DownloadConfig
from artdetect.download.extract import LimitError
from artdetect.download.fetch import Retry, fetch
from artdetect.download.source import (
    Kind,
    archive_sha256,
    file_sha256,
    key_url,
    local_path,
    names,
    picture_folder,
    public_url,
    read_json,
    source_kind,
    stem,
    title,
    url_digest,
    write_json,
)
from artdetect.pictures import labels

__all__ = [
    "DownloadConfig",
    "Retry",
    "check",
    "dataset",
    "fingerprint",
    "folder",
    "run",
    "source_kind",
    "tables",
]

RECORD = "dataset.json"


def fingerprint(config: DownloadConfig) -> dict[str, str]:
    """What identifies the source: the place of a folder, the content of an archive, or a web address.

    The stage runs again when this changes. It needs no network. The place of an archive does not count, so that a
    project can be moved. A query in an address is replaced by its digest, because it may hold a token. Of several data
    sets there is a digest each, by name.

    Raises:
        DownloadError: There is no such folder or archive.
    """
    found = {}
    for name, data_set in _named(config).items():
        with _errors_of(name):
            found[name] = _fingerprint(data_set)
    return found[""] if "" in found else {name: digests.value_digest(parts) for name, parts in found.items()}


def _fingerprint(config: DataSetConfig) -> dict[str, str]:
    table = _table(config)
    match source_kind(config.url):
        case "folder":
            return {"folder": paths.portable(local_path(config.url))} | table
        case "archive":
            return {"archive": archive_sha256(local_path(config.url))} | table
        case "web":
            return {"url": key_url(config.url), "sha256": config.sha256 or ""} | table


def run(config: DownloadConfig, out: Path, progress: ByteProgress = no_progress, retry: Retry | None = None) -> None:
    """Make the pictures available and write dataset.json, which says where they are.

    dataset.json holds "folder" (portable; the one with train/ or test/, even if an archive wraps it in others),
    "name", "kind", "url" (without credentials and query; only the name of a local archive, since it may move),
    "sources" (portable path of the config's table of sources, if there is one), and for archives "archive_sha256",
    "files" and "bytes", which are null for a folder. A folder is used in place: nothing is copied, counted or written
    into it.

    For several data sets, "folder" holds a link to each by its name, and "sets" has the name and the same record of
    each.

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
    records = {}
    for name, data_set in _named(config).items():
        with _errors_of(name):
            records[name] = _available(data_set, config.max_gb * 1e9, progress, retry)
            if name and not labels.has_splits(folder := paths.located(records[name]["folder"])):
                raise DownloadError(f"found no train/ or test/ folder in {folder}: name the folder that holds them")
    if "" in records:
        write_json(out / RECORD, records[""])
        return
    folders = {name: paths.located(record["folder"]) for name, record in records.items()}
    together = {"folder": paths.portable(dataset_store.link_together(folders)), "name": " + ".join(records)}
    write_json(out / RECORD, together | {"sets": records})


def _named(config: DownloadConfig) -> dict[str, DataSetConfig]:
    """The data sets by the names that come first in their pictures' paths. The name of a single one is empty."""
    data_sets = config.data_sets
    return dict(zip(names([given.url for given in data_sets]) if len(data_sets) > 1 else [""], data_sets, strict=True))


@contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """Say in the message of a DownloadError which of several data sets it is about."""
    try:
        yield
    except DownloadError as error:
        if not name:
            raise
        message = re.sub(r"download\.(url|sha256|sources)", r"\1 in download.sets", str(error))
        raise type(error)(f"data set {name}: {message}") from error


def _available(config: DataSetConfig, max_bytes: float, progress: ByteProgress, retry: Retry | None) -> dict[str, Any]:
    """Make one data set available; its record, see `run`."""
    kind = source_kind(config.url)
    unpacked: dataset_store.Dataset | None = None
    if kind == "folder":
        pictures = local_path(config.url)
    else:
        dataset_store.sweep()
        get = _from_web if kind == "web" else _from_archive
        unpacked = get(config, max_bytes, progress, retry)
        pictures = unpacked.folder
    return {
        "folder": paths.portable(picture_folder(pictures)),
        "name": title(config.url),
        "kind": kind,
        "url": _shown_url(config.url, kind),
        "archive_sha256": unpacked.sha256 if unpacked else None,
        "files": unpacked.files if unpacked else None,
        "bytes": unpacked.bytes if unpacked else None,
    } | _table(config)


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


def tables(artifact: Path) -> dict[str, Path | None]:
    """The config's table of sources of each data set, or None, by its name. The name of a single data set is empty."""
    content = dataset(artifact)
    sets = content.get("sets", {"": content})
    return {name: paths.located(table) if (table := sets[name].get("sources")) else None for name in sets}


def check(recorded: dict[str, Any] | Path) -> str | None:
    """Why a data set, given by its record or artifact folder, can no longer be used; None if it can."""
    content = read_json(recorded / RECORD) if isinstance(recorded, Path) else recorded
    if not isinstance(content.get("folder"), str):
        return "it names no folder"
    root = paths.located(content["folder"])
    gone = [pictures for pictures in (root / name for name in content.get("sets", [""])) if not pictures.is_dir()]
    return f"{gone[0]} is gone" if gone else None


def _from_archive(
    config: DataSetConfig, max_bytes: float, progress: ByteProgress, retry: Retry | None
) -> dataset_store.Dataset:
    archive = local_path(config.url)
    sha256 = archive_sha256(archive, progress)
    _check_digest(sha256, config.sha256, str(archive))
    return dataset_store.unpack(archive, sha256, f"{stem(config.url)}-{sha256[:8]}", max_bytes, progress)


def _from_web(
    config: DataSetConfig, max_bytes: float, progress: ByteProgress, retry: Retry | None
) -> dataset_store.Dataset:
    if dataset := dataset_store.find(config.url, config.sha256):
        return dataset
    with dataset_store.locked(url_digest(config.url), progress):
        if dataset := dataset_store.find(config.url, config.sha256):  # unpacked by the run that held the lock
            return dataset
        where = public_url(config.url)
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


def _table(config: DataSetConfig) -> dict[str, str]:
    """The portable path of the config's table of sources, if there is one. The index reads it."""
    if config.sources is None:
        return {}
    path = local_path(config.sources, "download.sources")
    if not path.is_file():
        raise DownloadError(f"download.sources is {str(path)!r}, which is not a file: check the path")
    return {"sources": paths.portable(path)}


def _shown_url(url: str, kind: Kind) -> str:
    if kind == "web":
        return public_url(url)
    return local_path(url).name if kind == "archive" else paths.portable(local_path(url))
